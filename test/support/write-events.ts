import type { ChangeEvent } from '../../src/core/event.ts';
import type { Outcome, Writer } from '../../src/core/strategy.ts';

export function writeEvents(writer: Writer, events: readonly ChangeEvent[]): Promise<Outcome[]> {
  return writer.write([events]);
}
