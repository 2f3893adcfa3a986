import { UsageError } from '../core/errors.ts';
import { compilePattern } from '../core/filter.ts';

/** A name an index answers to. */
export type Name = { name: string; hidden: boolean };

export type SelectableIndex = Name & { aliases: readonly Name[]; dataStream: Name | undefined };

/** Which indices are meant by `logs-*,-logs-debug*`. */
export type IndexPatterns = {
  /** As given. */
  readonly text: string;
  selects(index: SelectableIndex): boolean;
};

type Pattern = { text: string; wild: boolean; matches: (name: string) => boolean };

/**
 * Comma-separated patterns with `*`; those that begin with `-` exclude, and win. A pattern means an index, an alias or a data stream. What
 * is hidden or begins with a dot is meant only by its plain name or by a pattern that begins with a dot too. With exclusions alone,
 * everything else is included. Throws UsageError for what cannot be part of an index name.
 */
export function parseIndexPatterns(text: string): IndexPatterns {
  const parts = text.split(',').map((part) => part.trim());
  for (const part of parts) {
    const name = part.replace(/^-/, '');
    if (name === '' || /[\\/?"<>|\s#]/.test(name) || name !== name.toLowerCase()) {
      const hint =
        'write --index-patterns as logs-*,orders,-logs-debug*: lower case, * for any characters, - in front to exclude';
      throw new UsageError('INDEX_PATTERN_INVALID', `"${part}" is not an index pattern`, hint);
    }
  }
  const excluded = parts.filter((part) => part.startsWith('-')).map((part) => pattern(part.slice(1)));
  const included = parts.filter((part) => !part.startsWith('-')).map(pattern);
  if (included.length === 0) included.push(pattern('*'));
  return {
    text,
    selects(index) {
      const names: Name[] = [index, ...index.aliases];
      if (index.dataStream !== undefined) names.push(index.dataStream);
      if (names.some(({ name }) => excluded.some(({ matches }) => matches(name)))) return false;
      return names.some((name) => included.some((one) => means(one, name)));
    },
  };
}

function pattern(text: string): Pattern {
  return { text, wild: text.includes('*'), matches: compilePattern(text) };
}

function means({ text, wild, matches }: Pattern, { name, hidden }: Name): boolean {
  if (wild && (hidden || name.startsWith('.')) && !text.startsWith('.')) return false;
  return matches(name);
}
