import { overlaps } from '../core/subject.ts';

export type SummaryLimits = { patternsMax: number; bytesMax: number };

/**
 * NATS patterns that cover all of the subjects, few enough: the subjects themselves where that is possible, else with the token that
 * differs most replaced by `*`, again and again. What may match can be read off them, and nothing is left out.
 */
export function summariseSubjects(subjects: Iterable<string>, limits: SummaryLimits): string[] {
  let patterns = [...new Set(subjects)];
  while (!fits(patterns, limits)) {
    const place = mostDiverse(patterns);
    if (place === undefined) return ['>'];
    patterns = [...new Set(patterns.map((pattern) => starred(pattern, place)))];
  }
  return patterns;
}

/** True when some subject that a summary stands for may match one of the wanted patterns; no pattern wants all. */
export function mayMatch(summary: readonly string[], wanted: readonly string[]): boolean {
  return wanted.length === 0 || wanted.some((pattern) => summary.some((covered) => overlaps(pattern, covered)));
}

function fits(patterns: readonly string[], { patternsMax, bytesMax }: SummaryLimits): boolean {
  return patterns.length <= patternsMax && patterns.reduce((sum, pattern) => sum + pattern.length, 0) <= bytesMax;
}

type Place = { length: number; at: number };

/** Among subjects of one length, the place with the most different tokens; undefined where none has two, or subjects are of every length. */
function mostDiverse(patterns: readonly string[]): Place | undefined {
  const tokensAt = new Map<string, { place: Place; tokens: Set<string> }>();
  for (const pattern of patterns) {
    const tokens = pattern.split('.');
    for (const [at, token] of tokens.entries()) {
      const key = `${tokens.length}/${at}`;
      let found = tokensAt.get(key);
      if (found === undefined) tokensAt.set(key, (found = { place: { length: tokens.length, at }, tokens: new Set() }));
      if (token !== '*' && token !== '>') found.tokens.add(token);
    }
  }
  let most: { place: Place; tokens: Set<string> } | undefined;
  for (const found of tokensAt.values()) if (found.tokens.size > (most?.tokens.size ?? 0)) most = found;
  return most?.place;
}

function starred(pattern: string, { length, at }: Place): string {
  const tokens = pattern.split('.');
  if (tokens.length !== length || tokens[at] === '>') return pattern;
  tokens[at] = '*';
  return tokens.join('.');
}
