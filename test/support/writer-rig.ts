import { join } from 'node:path';
import { temporaryDirectory, type Server } from '../../scripts/servers.ts';
import type { ChangeEvent } from '../../src/core/event.ts';
import { encodingHeader, type FrameLimits, packFrames, sealFrame } from '../../src/core/frame.ts';
import { encodeSubject } from '../../src/core/subject.ts';
import { connectNats, ensureChangeStream, type JetStreamSink, type NatsLink, openSink } from '../../src/jetstream/index.ts';
import { Cluster } from './cluster.ts';
import { documentKey, scattered } from './history.ts';
import { Program } from './programs.ts';
import type { Random } from './random.ts';
import { readDocuments } from './read-documents.ts';
import { freshNats } from './servers.ts';
import { until } from './until.ts';

export type Letter = { subject: string; id: string | undefined; sequence: number; body: Record<string, unknown>; text: string };

const frameLimits: FrameLimits = { documentsMax: 50, bytesMax: 200_000, compressFromBytes: 4_096, compressLevel: 1 };

/** A NATS server of its own, a target, and es-writer between them; the test is the publisher. */
export class WriterRig {
  readonly nats: Server;
  readonly link: NatsLink;
  readonly cluster: Cluster;
  readonly directory = temporaryDirectory('writer-rig');
  readonly #sink: JetStreamSink;
  readonly #programs: Program[] = [];
  readonly #target: string;

  static async open(target: string, nats?: Server): Promise<WriterRig> {
    const server = nats ?? (await freshNats());
    const link = await connectNats({ urls: [server.url], name: 'test' });
    await ensureChangeStream(link, { name: 'ES_CHANGES', maxBytes: 256 * 1024 * 1024 });
    return new WriterRig(server, link, target);
  }

  private constructor(nats: Server, link: NatsLink, target: string) {
    this.nats = nats;
    this.link = link;
    this.#target = target;
    this.cluster = new Cluster(target);
    this.#sink = openSink(link, { stream: 'ES_CHANGES' });
  }

  /** A writer, not started; its flags may be overridden. */
  program(flags: readonly string[] = [], target = this.#target): Program {
    const name = `writer-${this.#programs.length + 1}`;
    const own = { '--nats-url': this.nats.url, '--es-hosts': target, '--retry-min': '20ms', '--retry-max': '500ms' };
    // A list that is given twice is longer, not replaced.
    const kept = Object.entries(own).filter(([flag]) => !flags.includes(flag));
    const all = [...kept.flat(), ...flags];
    const program = new Program('es-writer', { logFile: join(this.directory, `${name}.log`), flags: all });
    this.#programs.push(program);
    return program;
  }

  async writer(flags: readonly string[] = [], target?: string): Promise<Program> {
    const program = this.program(flags, target);
    await program.startReady();
    return program;
  }

  /** One frame, or as many as it takes, of events of one index and operation. Resolves with the last stream sequence. */
  async publish(events: readonly ChangeEvent[], limits = frameLimits): Promise<number> {
    const [first] = events;
    let sequence = 0;
    for (const packed of packFrames(events, limits)) {
      const frame = await sealFrame(packed, limits);
      const headers: ReadonlyMap<string, string> = new Map(
        frame.encoding === undefined ? [] : [[encodingHeader, frame.encoding]],
      );
      const subject = encodeSubject({ tenant: first!.tenant, index: first!.index, operation: first!.op });
      ({ sequence } = await this.#sink.publish({ subject, payload: frame.payload, headers }));
    }
    return sequence;
  }

  /** All events in frames, in almost any order, some twice. */
  async scatter(random: Random, events: readonly ChangeEvent[]): Promise<void> {
    const [first] = events;
    const sent: Promise<unknown>[] = [];
    for (const { operation, frame } of scattered(random, events, frameLimits)) {
      const sealed = await sealFrame(frame, frameLimits);
      await this.#sink.room();
      sent.push(
        this.#sink.publish({
          subject: encodeSubject({ tenant: first!.tenant, index: first!.index, operation }),
          payload: sealed.payload,
          headers: new Map(sealed.encoding === undefined ? [] : [[encodingHeader, sealed.encoding]]),
        }),
      );
    }
    await Promise.all(sent);
  }

  async publishRaw(subject: string, payload: string | Uint8Array, headers?: ReadonlyMap<string, string>): Promise<number> {
    const message = { subject, payload: Buffer.from(payload as string), ...(headers === undefined ? {} : { headers }) };
    return (await this.#sink.publish(message)).sequence;
  }

  /** Waits until the consumer has acknowledged everything in the stream. */
  async settled(withinMs = 120_000, consumer = 'es-writer'): Promise<void> {
    await until(
      'the consumer to have acknowledged everything',
      async () => {
        const info = await this.link.manager.consumers.info('ES_CHANGES', consumer);
        const { state } = await this.link.manager.streams.info('ES_CHANGES');
        return info.num_ack_pending === 0 && info.num_pending === 0 && info.ack_floor.stream_seq >= state.last_seq;
      },
      { withinMs },
    );
  }

  /** What the target holds: raw text by id and routing. */
  async documents(index: string): Promise<Map<string, string>> {
    await this.cluster.refresh(index);
    const found = new Map<string, string>();
    for await (const page of readDocuments(this.cluster, index)) {
      for (const { id, routing, source } of page) found.set(documentKey(id, routing), source.toString());
    }
    return found;
  }

  /** Every dead letter. */
  async letters(stream = 'ES_DLQ'): Promise<Letter[]> {
    const { state } = await this.link.manager.streams.info(stream);
    const letters: Letter[] = [];
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
      const stored = await this.link.manager.streams.getMessage(stream, { seq });
      if (stored === null) continue;
      const text = stored.string();
      const id = stored.header.get('Nats-Msg-Id');
      letters.push({ subject: stored.subject, id, sequence: seq, text, body: JSON.parse(text) as Record<string, unknown> });
    }
    return letters;
  }

  /** Makes an index that takes any document at all. */
  async makeIndex(index: string): Promise<void> {
    await this.cluster.json('PUT', `/${index}`, {
      settings: { number_of_shards: 2, number_of_replicas: 0 },
      mappings: { enabled: false },
    });
  }

  /** Ends every program that still runs: one left over by a test that failed must not disturb the next. */
  async killAll(): Promise<void> {
    for (const program of this.#programs) if (program.isRunning()) await program.kill();
  }

  async close(): Promise<void> {
    await this.killAll();
    await this.link.close();
    await this.cluster.close();
    await this.nats.stop();
  }
}

/** Says what differs, a few of each kind, instead of a wall of documents. */
export function difference(found: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): object {
  const missing = [...expected.keys()].filter((key) => !found.has(key));
  const extra = [...found.keys()].filter((key) => !expected.has(key));
  const different = [...expected].filter(([key, text]) => found.has(key) && found.get(key) !== text).map(([key]) => key);
  return {
    missing: [missing.length, missing.slice(0, 3)],
    extra: [extra.length, extra.slice(0, 3)],
    different: [different.length, different.slice(0, 3)],
  };
}

export const exact = { missing: [0, []], extra: [0, []], different: [0, []] };
