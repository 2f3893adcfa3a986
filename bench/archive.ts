import { places } from '../scripts/demo/places.ts';
import {
  BlockWriter,
  readArchive,
  storeBlock,
  type ArchiveMessage,
  type BlockOptions,
  type SealedBlock,
} from '../src/archive/index.ts';
import { MemoryObjectStore } from '../src/objects/index.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';

/** Content of a block, as a store job fills it. */
const blockBytes = 32 * 1024 * 1024;
const sizes = [128, 512, 4_096];
/** What the whole program is to do at 512 bytes, with NATS and S3 beside it on the same two cores: the format may take half of that time. */
const floors = { write: 300_000, read: 200_000 };
const goalBytes = 512;
/** What the default levels are chosen from. */
const levels = [
  { compression: 'zstd', level: 1 },
  { compression: 'zstd', level: 3 },
  { compression: 'zstd', level: 6 },
  { compression: 'gzip', level: 1 },
  { compression: 'gzip', level: 3 },
  { compression: 'gzip', level: 6 },
] as const;

type Run = { perSecond: number; cpuMicros: number };

export const benchmark: Benchmark = {
  name: 'archive',
  title: 'Archive blocks',
  about:
    'How fast messages become blocks of 32 MiB and come out of them again, in memory, without NATS and S3: real places as text, ten ' +
    'subjects, zstd. Compression runs on other threads, so the CPU time of a message says more than its rate.',
  async run({ quick, say }: Context): Promise<Result> {
    const measures: Measure[] = [];
    const goals: Goal[] = [];
    for (const size of sizes) {
      const messages = messagesOf(size, Math.floor(blockBytes / size));
      const [writes, reads]: Run[][] = [[], []];
      let stored = 0;
      for (let round = 0; round <= (quick ? 2 : 5); round++) {
        const written = await timed(messages.length, () => write(messages));
        const store = new MemoryObjectStore();
        await storeBlock(store, '', written.result);
        const read = await timed(messages.length, () => readAll(store, messages.length));
        stored = written.result.body.length / messages.length;
        // The first round warms up.
        if (round === 0) continue;
        writes!.push(written);
        reads!.push(read);
      }
      const label = `${size.toLocaleString('en-US')} bytes`;
      say(
        `${label}: ${show(median(ratesOf(writes!)))} written, ${show(median(ratesOf(reads!)))} read a second, ${show(stored)} bytes stored`,
      );
      measures.push(...measuresOf('write', label, writes!), ...measuresOf('read', label, reads!));
      measures.push({ name: `stored, ${label}`, unit: 'bytes/message', values: [stored] });
      goals.push({
        name: `stored of a message of ${label}`,
        value: stored / size,
        unit: '× its payload',
        bound: { atMost: 0.25 },
        enforced: size === goalBytes,
      });
      if (size !== goalBytes) continue;
      goals.push(
        {
          name: `writing blocks, ${label}`,
          value: median(ratesOf(writes!)),
          unit: 'messages/s',
          bound: { atLeast: floors.write },
          enforced: false,
        },
        {
          name: `reading blocks, ${label}`,
          value: median(ratesOf(reads!)),
          unit: 'messages/s',
          bound: { atLeast: floors.read },
          enforced: false,
        },
      );
    }
    const messages = messagesOf(goalBytes, Math.floor(blockBytes / goalBytes));
    for (const options of levels) {
      const { result, cpuMicros } = await timed(messages.length, () => write(messages, options));
      const name = `${options.compression} level ${options.level}, ${goalBytes} bytes`;
      const stored = result.body.length / messages.length;
      say(`${name}: ${show(cpuMicros)} µs of CPU, ${show(stored)} bytes stored`);
      measures.push(
        { name: `${name}, CPU`, unit: 'µs/message', values: [cpuMicros] },
        { name: `${name}, stored`, unit: 'bytes/message', values: [stored] },
      );
    }
    return { measures, goals };
  },
};

function ratesOf(runs: readonly Run[]): number[] {
  return runs.map(({ perSecond }) => perSecond);
}

function measuresOf(what: string, label: string, runs: readonly Run[]): Measure[] {
  return [
    { name: `${what}, ${label}`, unit: 'messages/s', values: ratesOf(runs) },
    { name: `${what}, ${label}, CPU`, unit: 'µs/message', values: runs.map(({ cpuMicros }) => cpuMicros) },
  ];
}

async function timed<Made>(messages: number, work: () => Promise<Made>): Promise<Run & { result: Made }> {
  const before = process.cpuUsage();
  const startedAt = performance.now();
  const result = await work();
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(before);
  return { result, perSecond: (messages / tookMs) * 1000, cpuMicros: (user + system) / messages };
}

/** Messages of exactly so many bytes: places one after another. */
function messagesOf(bytes: number, count: number): ArchiveMessage[] {
  const sources = places(Number.MAX_SAFE_INTEGER);
  return Array.from({ length: count }, (_, at) => {
    let text = '';
    while (text.length < bytes) text += (sources.next().value as { source: string }).source;
    const payload = Buffer.from(text).subarray(0, bytes);
    const timestamp = Date.UTC(2025, 10, 21, 10) + Math.floor(at / 100);
    return {
      subject: `places.${at % 10}`,
      headers: new Uint8Array(0),
      sequence: at + 1,
      timestamp,
      nanos: (at * 9_973) % 1_000_000,
      payload,
    };
  });
}

async function write(messages: readonly ArchiveMessage[], options: Partial<BlockOptions> = {}): Promise<SealedBlock> {
  const writer = new BlockWriter({ stream: 'PLACES', streamCreated: '2025-11-21T10:00:00Z', job: 'bench', ...options });
  for (const message of messages) {
    const room = writer.add(message);
    if (room !== undefined) await room;
  }
  return writer.seal();
}

async function readAll(store: MemoryObjectStore, count: number): Promise<void> {
  let found = 0;
  for await (const { messages } of readArchive(store, { stream: 'PLACES' })) found += messages.length;
  if (found !== count) throw new Error(`${found} of ${count} messages came back`);
}
