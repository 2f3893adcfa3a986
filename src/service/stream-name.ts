import { text, type Kind } from './kinds.ts';

/** Name of a stream or consumer: the server takes neither dots, wildcards, white space nor path separators in one. */
export function streamName(): Kind<string> {
  return text('NAME', /^[^\s.*>/\\]{1,255}$/, 'a name without dots, *, >, slashes and white space');
}
