import { readFileSync } from 'node:fs';
import { UsageError } from '../core/errors.ts';
import type { Given } from './kinds.ts';
import { inFile, keyOf, type Settings } from './settings.ts';
import { natsSettings } from './nats-settings.ts';
import { didYouMean } from './suggest.ts';

/** The sections a file may have: a program passes over those of the others. */
export const PROGRAMS = ['es-watcher', 'nats-gateway', 'es-writer', 'nats3', 'es-sync'] as const;

/** Passed over at the top level by a program that has no such setting: nats-gateway and es-sync reach their servers by settings of their own. */
const natsKeys: ReadonlySet<string> = new Set(Object.keys(natsSettings).map(keyOf));

type Mapping = Record<string, Given>;

/**
 * Reads a YAML file, or TOML where its name ends so: common settings at the top level, a program's own in the section of its name. Returns
 * what is given by setting name. The readers are loaded only here, as they take their time. Throws UsageError.
 */
export async function readSettingsFile(file: string, program: string, settings: Settings): Promise<Map<string, Given>> {
  const root = file.endsWith('.toml') ? await parseToml(file) : await parse(file);
  const names = new Map(Object.entries(settings).flatMap(([name, each]) => (inFile(each) ? [[keyOf(name), name] as const] : [])));
  const common = new Set([...names].filter(([, name]) => settings[name]?.common === true).map(([key]) => key));
  const given = new Map<string, Given>();
  for (const [key, value] of Object.entries(root)) {
    if ((PROGRAMS as readonly string[]).includes(key) || key === program) continue;
    if (natsKeys.has(key) && !names.has(key)) continue;
    if (!common.has(key)) throw misplaced(file, key, program, names, common);
    given.set(names.get(key)!, value);
  }
  for (const [key, value] of Object.entries(sectionOf(file, root, program))) {
    const name = names.get(key);
    if (name === undefined) throw unknownKey(file, key, `section ${program}`, [...names.keys()]);
    given.set(name, value);
  }
  return given;
}

async function parse(file: string): Promise<Mapping> {
  const { LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  // Every scalar stays text in the failsafe schema: kinds read it as they read a flag, and 007 or 1e3 arrive as written.
  const document = parseDocument(readText(file), { schema: 'failsafe', lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    // The reader's own long form would quote the line, and the line may hold a password.
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new UsageError('CONFIG_FILE_INVALID', `${file}:${line}:${col} is not valid YAML: ${problem.message}`);
  }
  const root: unknown = document.toJS() ?? {};
  if (!isMapping(root))
    throw new UsageError('CONFIG_FILE_INVALID', `${file} is not a mapping of settings`, 'write lines such as log-level: info');
  return root;
}

async function parseToml(file: string): Promise<Mapping> {
  const { parse: parseText, TomlError } = await import('smol-toml');
  try {
    return asGiven(parseText(readText(file))) as Mapping;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The first line says what is wrong; those after it quote the file, which may hold a password.
    const what = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '');
    throw new UsageError('CONFIG_FILE_INVALID', `${file}:${error.line}:${error.column} is not valid TOML: ${what}`);
  }
}

/** TOML has types; kinds read text. */
function asGiven(value: unknown): Given {
  if (Array.isArray(value)) return value.map(asGiven);
  if (typeof value !== 'object' || value === null || value instanceof Date) return String(value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, asGiven(each)]));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError('CONFIG_FILE_UNREADABLE', `cannot read the file given by --config: ${(error as Error).message}`);
  }
}

function sectionOf(file: string, root: Mapping, program: string): Mapping {
  const section = root[program];
  if (section === undefined || section === '') return {};
  if (!isMapping(section)) throw new UsageError('CONFIG_FILE_INVALID', `${file}: ${program} is not a mapping of settings`);
  return section;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function misplaced(file: string, key: string, program: string, names: Map<string, string>, common: Set<string>): UsageError {
  // Source and target both have es-hosts: at the top level it would make them the same cluster.
  if (names.has(key)) return new UsageError('UNKNOWN_KEY', `${file}: ${key} belongs into a section`, `put it under ${program}:`);
  return unknownKey(file, key, 'the top level', [...common, ...PROGRAMS]);
}

function unknownKey(file: string, key: string, where: string, known: string[]): UsageError {
  return new UsageError(
    'UNKNOWN_KEY',
    `${file}: unknown key ${key} in ${where}${didYouMean(key, known)}`,
    `known here: ${known.sort().join(', ')}`,
  );
}
