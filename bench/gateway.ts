import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { places } from '../scripts/demo/places.ts';
import { startNats, temporaryDirectory } from '../scripts/servers.ts';
import { killAtEnd, spareAtEnd } from '../scripts/servers/watchdog.ts';
import { frameHeaders, packFrames, sealFrame } from '../src/core/frame.ts';
import type { ChangeEvent } from '../src/core/event.ts';
import { connectNats, type NatsLink, openSink } from '../src/jetstream/index.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { costOf } from './process-cost.ts';
import { profiling } from './shipped.ts';

const frameDocuments = 100;
const documentBytes = 500;

type Way = { name: string; floor: number | undefined; flags: readonly string[]; compressed: boolean };

/** Half of the documents meet the condition; the others become deletes. */
const half = JSON.stringify([{ where: { equals: { field: 'half', value: 'true' } } }]);
const transforms = JSON.stringify([
  { 'rename-index': { from: '*', to: 'eu-$1' } },
  { mask: { field: 'name', with: 'partial' } },
  { drop: 'location.lat' },
  { set: { field: 'origin', value: 'bench' } },
]);

const ways: readonly Way[] = [
  { name: 'pass-through', floor: 250_000, flags: [], compressed: false },
  { name: 'pass-through, compressed frames', floor: 250_000, flags: [], compressed: true },
  { name: 'field filter', floor: 60_000, flags: [`--field-filters=${half}`], compressed: true },
  { name: 'transformed', floor: undefined, flags: [`--transforms=${transforms}`], compressed: true },
];

export const benchmark: Benchmark = {
  name: 'gateway',
  title: 'nats-gateway',
  about:
    'Documents a second from one stream to the other on one nats-server, in frames of 100 real places filled up to 500 bytes: passed as bytes; ' +
    'filtered by a field, where half of them become deletes; and transformed (index renamed, a field masked, one dropped, one set). The stream is ' +
    'filled first. Beside it, what nats-server does by itself: the same stream as the source of another one. Time runs from the first message downstream to the last acknowledgement upstream, CPU and memory are the gateway’s alone.',
  async run({ quick, say }: Context): Promise<Result> {
    const measures: Measure[] = [];
    const goals: Goal[] = [];
    const peaks: number[] = [];
    const documents = quick ? 200_000 : 400_000;
    for (const compressed of [false, true]) {
      const rates: number[] = [];
      for (let round = 0; round < (quick ? 1 : 3); round++) rates.push(await sourced(documents * 2, compressed));
      const name = `nats-server copying by itself${compressed ? ', compressed frames' : ''}`;
      say(`${name}: ${show(median(rates))} documents/s`);
      measures.push({ name, unit: 'documents/s', values: rates });
    }
    for (const way of ways) {
      const runs: Figures[] = [];
      for (let round = 0; round < (quick ? 1 : 3); round++)
        runs.push(await measure(way, way.floor === 250_000 ? documents * 2 : documents));
      const rates = runs.map(({ perSecond }) => perSecond);
      peaks.push(...runs.map(({ peakMb }) => peakMb));
      say(
        `${way.name}: ${show(median(rates))} documents/s, ${show(median(runs.map(({ cpuMicros }) => cpuMicros)))} µs CPU a document`,
      );
      measures.push(
        { name: way.name, unit: 'documents/s', values: rates },
        { name: way.name, unit: 'frames/s', values: rates.map((rate) => rate / frameDocuments) },
        { name: `${way.name}, CPU`, unit: 'µs/document', values: runs.map(({ cpuMicros }) => cpuMicros) },
        { name: `${way.name}, peak memory`, unit: 'MB', values: runs.map(({ peakMb }) => peakMb) },
      );
      if (way.floor === undefined) continue;
      goals.push({
        name: `gateway, ${way.name}`,
        value: median(rates),
        unit: 'documents/s',
        bound: { atLeast: way.floor },
        enforced: false,
      });
    }
    goals.push({
      name: 'gateway, peak memory, whatever it does',
      value: Math.max(...peaks),
      unit: 'MB',
      bound: { atMost: 128 },
      enforced: false,
    });
    return { measures, goals };
  },
};

type Figures = { perSecond: number; cpuMicros: number; peakMb: number };

/** Documents a second that the server copies into a stream of which the filled one is the source. */
function sourced(documents: number, compressed: boolean): Promise<number> {
  return onServer(documents, compressed, async (link) => {
    const startedAt = performance.now();
    await link.manager.streams.add({ name: 'COPY', sources: [{ name: 'ES_CHANGES_RAW' }] });
    const copied = async () => (await link.manager.streams.info('COPY')).state.messages >= documents / frameDocuments;
    const endedAt = await moment({ exitCode: null }, copied);
    return (documents / (endedAt - startedAt)) * 1_000;
  });
}

function measure(way: Way, documents: number): Promise<Figures> {
  return onServer(documents, way.compressed, (link, url) => pass(link, url, way));
}

async function onServer<Answer>(
  documents: number,
  compressed: boolean,
  work: (link: NatsLink, url: string) => Promise<Answer>,
): Promise<Answer> {
  const storeDir = temporaryDirectory('bench-gateway');
  const nats = await startNats({ storeDir: join(storeDir, 'nats') });
  const link = await connectNats({ urls: [nats.url], name: 'bench' });
  try {
    await fill(link, documents, compressed);
    return await work(link, nats.url);
  } finally {
    await link.close();
    await nats.stop();
    rmSync(storeDir, { recursive: true, force: true });
  }
}

/** The stream upstream, full of frames. */
async function fill(link: NatsLink, documents: number, compressed: boolean): Promise<void> {
  await link.manager.streams.add({ name: 'ES_CHANGES_RAW', subjects: ['es.>'], discard: 'new' });
  const sink = openSink(link, { stream: 'ES_CHANGES_RAW', windowMessages: 256 });
  const sources = [...places(5_000)].map((place, n) => filled(place.source, n));
  const limits = { documentsMax: frameDocuments, bytesMax: 2 ** 20, compressFromBytes: compressed ? 4096 : 0, compressLevel: 1 };
  const stored: Promise<unknown>[] = [];
  for (let at = 0; at < documents; at += frameDocuments) {
    const events = Array.from({ length: frameDocuments }, (_, n): ChangeEvent => {
      const seqNo = at + n;
      return {
        tenant: 't',
        index: 'places',
        id: `p${seqNo}`,
        op: 'index',
        version: seqNo,
        seqNo,
        primaryTerm: 1,
        ts: 0,
        source: sources[seqNo % sources.length]!,
      };
    });
    const frame = await sealFrame([...packFrames(events, limits)][0]!, limits);
    await sink.room();
    stored.push(
      sink.publish({ subject: 'es.t.places.index', payload: frame.payload, id: `f${at}`, headers: frameHeaders(frame) }),
    );
  }
  await Promise.all(stored);
  await sink.close();
}

/** The document filled up with a text, and with a field that every other one has. */
function filled(source: string, number: number): Buffer {
  const head = `${source.slice(0, -1)},"half":${number % 2 === 0}`;
  return Buffer.from(
    `${head},"about":"${'lorem ipsum dolor '.repeat(40).slice(0, Math.max(0, documentBytes - head.length - 12))}"}`,
  );
}

async function pass(link: NatsLink, url: string, way: Way): Promise<Figures> {
  // By its launcher, whose flags of V8 are a part of what is measured.
  const launcher = fileURLToPath(new URL('../bin/nats-gateway', import.meta.url));
  const child = spawn(launcher, [`--upstream-url=${url}`, '--admin-disabled', '--log-level=error', ...way.flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
    env: { ...process.env, ...profiling() },
  });
  const pid = child.pid!;
  killAtEnd(pid);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  try {
    const first = await moment(child, async () => (await link.manager.streams.info('ES_CHANGES')).state.messages > 0);
    const start = costOf(pid);
    const { num_pending: pending, num_ack_pending: unacknowledged } = await link.manager.consumers.info(
      'ES_CHANGES_RAW',
      'nats-gateway',
    );
    const last = await moment(child, async () => {
      const { num_pending, num_ack_pending } = await link.manager.consumers.info('ES_CHANGES_RAW', 'nats-gateway');
      return num_pending === 0 && num_ack_pending === 0;
    });
    const { cpuMs, peakBytes } = costOf(pid);
    const passed = (pending + unacknowledged) * frameDocuments;
    return {
      perSecond: (passed / (last - first)) * 1_000,
      cpuMicros: ((cpuMs - start.cpuMs) / passed) * 1_000,
      peakMb: peakBytes / 2 ** 20,
    };
  } finally {
    // A profile is written at an orderly end.
    process.kill(pid, process.env['BENCH_PROFILES'] === undefined ? 'SIGKILL' : 'SIGTERM');
    await gone;
    spareAtEnd(pid);
  }
}

async function moment(child: { exitCode: number | null }, ask: () => Promise<boolean>): Promise<number> {
  for (;;) {
    if (child.exitCode !== null) throw new Error('the gateway has ended');
    if (await ask().catch(() => false)) return performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
