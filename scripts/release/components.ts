import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { install } from '../provision/cache.ts';
import { command } from '../provision/command.ts';
import { goLicencesRecipe, moduleDirectory, type GoModule } from '../provision/go-licences.ts';
import { root } from './product.ts';

/** Something of others that is part of what is shipped. */
export type Component = {
  name: string;
  version: string;
  /** https://github.com/package-url/purl-spec */
  purl: string;
  /** An SPDX expression. */
  licence: string;
  /** The licence's text as its owner ships it. */
  text: string;
};

/** The npm packages of a bundle, from the paths of its inputs; one an installed version, in order of name. */
export function npmComponents(inputs: readonly string[]): Component[] {
  const directories = new Set(inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  const found = new Map([...directories].map((directory) => npmComponent(join(root, directory))).map((one) => [one.purl, one]));
  return [...found.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
}

function npmComponent(directory: string): Component {
  const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  if (license === undefined) throw new Error(`${name} ${version} does not name its licence`);
  return { name, version, purl, licence: license, text: licenceText(directory, `${name} ${version}: ${license}\n`) };
}

/** Of the files that may hold it; `otherwise` where a package has none and only names it. */
function licenceText(directory: string, otherwise: string): string {
  const files = readdirSync(directory).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const texts = files.sort().map((file) => readFileSync(join(directory, file), 'utf8'));
  return texts.length === 0 ? otherwise : texts.join('\n');
}

/** Node's own file names everything that is built into it. */
export function nodeComponent(home: string, version: string): Component {
  const text = readFileSync(join(home, 'LICENSE'), 'utf8');
  return { name: 'node', version, purl: `pkg:generic/node@${version}`, licence: 'MIT', text };
}

/** What the executable for musl has beside it: musl, and the libraries of GCC that the wheel names. */
export function muslComponents(home: string): Component[] {
  const version = readFileSync(join(home, 'musl.version'), 'utf8');
  const musl = { name: 'musl', version, purl: `pkg:deb/debian/musl@${version}`, licence: 'MIT' };
  const wheel = JSON.parse(readFileSync(join(home, 'auditwheel.cdx.json'), 'utf8')) as { components: Component[] };
  const libraries = wheel.components.filter(({ purl }) => purl.startsWith('pkg:apk/'));
  return [
    { ...musl, text: readFileSync(join(home, 'LICENSE.musl'), 'utf8') },
    ...libraries.map(({ name, version, purl }) => ({ name, version, purl, ...gccLicence })),
  ];
}

/** What the executable for glibc has beside it. */
export function libatomicComponent(home: string): Component {
  const version = readFileSync(join(home, 'version'), 'utf8');
  return { name: 'libatomic', version, purl: `pkg:deb/debian/libatomic1@${version}`, ...gccLicence };
}

const gccLicence = {
  licence: 'GPL-3.0-or-later WITH GCC-exception-3.1',
  text: 'Part of GCC, under the GPL 3 or later with the GCC Runtime Library Exception 3.1: what uses it may have any licence.\n',
};

/** nats-server, the Go modules in it, and Go's standard library, as the binary itself lists them. */
export async function natsComponents(binary: string): Promise<Component[]> {
  const lines = (await command('go', ['version', '-m', binary])).split('\n').map((line) => line.trim().split('\t'));
  const modules = lines.flatMap(([kind, path, version]): GoModule[] =>
    (kind === 'mod' || kind === 'dep') && path !== undefined && version !== undefined ? [{ path, version }] : [],
  );
  const server = modules.find(({ path }) => path.startsWith('github.com/nats-io/nats-server'));
  if (server === undefined) throw new Error(`${binary} does not tell what it is made of`);
  const home = await install(goLicencesRecipe(`nats-server-${server.version}`, modules));
  return modules.map(({ path, version }) => {
    const text = licenceText(join(home, moduleDirectory({ path, version })), '');
    const name = path === server.path ? 'nats-server' : path;
    return { name, version, purl: `pkg:golang/${path}@${version}`, licence: spdxOf(text, path), text };
  });
}

/** What a Go module's licences are, told by their text. */
function spdxOf(text: string, path: string): string {
  const marks = {
    'Apache-2.0': /Apache License\s+Version 2\.0/,
    'BSD-3-Clause': /Redistribution and use in source and binary forms/,
    MIT: /Permission is hereby granted, free of charge/,
  };
  const found = Object.entries(marks).flatMap(([name, mark]) => (mark.test(text) ? [name] : []));
  if (found.length === 0) throw new Error(`the licence of the Go module ${path} is not known`);
  return found.join(' AND ');
}

/** The names of components whose licence asks for more than to be named: none is wanted in what is shipped. */
export function demanding(components: readonly Component[]): string[] {
  const free =
    /^\(?((MIT|MIT-0|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|Zlib|GPL-3\.0-or-later WITH GCC-exception-3\.1)( (OR|AND) )?)+\)?$/;
  return components.filter(({ licence }) => !free.test(licence)).map(({ name, licence }) => `${name}: ${licence}`);
}

export function licenceFiles(components: readonly Component[]): Map<string, string> {
  return new Map(components.map(({ name, version, text }) => [`${name.replaceAll('/', '__')}@${version}.txt`, text]));
}
