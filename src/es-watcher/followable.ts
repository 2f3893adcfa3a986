import { GatewayError } from '../core/errors.ts';
import type { IndexFacts } from '../elastic/index.ts';

/** Why an index cannot be followed; undefined when it can. */
export function unfollowable(facts: IndexFacts): GatewayError | undefined {
  const exclude = `exclude it with --index-patterns (INDEX_PATTERNS) "-${facts.name}"`;
  if (!facts.sequenceNumbers) {
    return new GatewayError(
      'INDEX_WITHOUT_SEQUENCE_NUMBERS',
      `the index ${facts.name} has index.disable_sequence_numbers: its changes cannot be followed`,
      {
        hint: `${exclude}, or create it without that setting (time-series indices have it by default from 9.4 on)`,
      },
    );
  }
  if (facts.source === 'disabled' || facts.source === 'filtered') {
    const how = facts.source === 'disabled' ? 'does not store _source' : 'stores only a part of _source';
    return new GatewayError('INDEX_WITHOUT_SOURCE', `the index ${facts.name} ${how}: its documents cannot be read whole`, {
      hint: `${exclude}, or reindex it with _source on`,
    });
  }
  return undefined;
}

/** What a user should know of an index that is followed all the same. */
export function cautions(facts: IndexFacts): string[] {
  const found: string[] = [];
  if (facts.source === 'synthetic')
    found.push('_source is synthetic: documents arrive as the server rebuilds them, not as they were sent');
  if (facts.durability === 'async') {
    found.push('index.translog.durability is async: operations that the source loses in a crash may already be at the target');
  }
  return found;
}
