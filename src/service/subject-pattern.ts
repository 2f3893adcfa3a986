import { text, type Kind } from './kinds.ts';

const token = '(?:\\*|[^\\s.*>]+)';
const pattern = new RegExp(`^(?:>|(?:es|\\*)(?:\\.${token}){0,2}\\.>|(?:es|\\*)(?:\\.${token}){3})$`);

/** A subject of changes, or a NATS pattern that takes some in: one that can never match is a mistake. */
export function subjectPattern(): Kind<string> {
  return text('SUBJECT', pattern, 'es.TENANT.INDEX.OPERATION, with * for a whole token and > for all that follow');
}
