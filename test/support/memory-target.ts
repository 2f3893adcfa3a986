import type { ChangeList } from '../../src/core/change-block.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import type { Outcome, Writer } from '../../src/core/strategy.ts';

type Entry = { version: number; source: string | undefined };

/** A target in this process with the promises of a cluster: external versions, tombstones that are never forgotten, a field `n` that holds integers. */
export class MemoryTarget implements Writer {
  /** Documents and tombstones by index, then by id and routing. */
  readonly indices = new Map<string, Map<string, Entry>>();
  /** Asked before each document; an outcome is given instead of writing it. */
  fault: (event: ChangeEvent) => Outcome | undefined = () => undefined;
  writes = 0;

  async write(changes: readonly ChangeList[]): Promise<Outcome[]> {
    this.writes++;
    // Like a network, it lets other writes go in between.
    await new Promise((resolve) => setImmediate(resolve));
    return changes.flatMap((list) => [...list]).map((event) => this.fault(event) ?? this.#apply(event));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The raw text of a document. */
  source(index: string, id: string, routing?: string): string | undefined {
    return this.indices.get(index)?.get(keyOf(id, routing))?.source;
  }

  #apply(event: ChangeEvent): Outcome {
    if (event.op !== 'delete' && event.source === undefined) return { is: 'refused', refusal: sourceMissing };
    const documents = this.indices.get(event.index) ?? new Map<string, Entry>();
    this.indices.set(event.index, documents);
    const key = keyOf(event.id, event.routing);
    if ((documents.get(key)?.version ?? -1) >= event.version) return { is: 'stale' };
    const source = event.source === undefined ? undefined : Buffer.from(event.source).toString();
    if (source !== undefined && !fits(source)) {
      return { is: 'refused', refusal: { status: 400, type: 'document_parsing_exception', reason: 'n is not an integer' } };
    }
    documents.set(key, { version: event.version, source });
    return { is: 'stored' };
  }
}

const sourceMissing = { status: 0, type: 'source_missing', reason: 'the change has no document' };

function keyOf(id: string, routing: string | undefined): string {
  return `${id}\0${routing ?? ''}`;
}

function fits(source: string): boolean {
  const { n } = JSON.parse(source) as { n?: unknown };
  return n === undefined || Number.isFinite(Number(n));
}
