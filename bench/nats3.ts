import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { createInbox } from '@nats-io/transport-node';
import { fileURLToPath } from 'node:url';
import { places } from '../scripts/demo/places.ts';
import { startNats, startS3, temporaryDirectory, type Server } from '../scripts/servers.ts';
import { killAtEnd, spareAtEnd } from '../scripts/servers/watchdog.ts';
import { leastHeaderBytes, PublishLines, sendLines } from '../src/jetstream/wire-out.ts';
import { connectNats, type NatsLink } from '../src/jetstream/index.ts';
import type { JobAnswer } from '../src/nats3/schema.ts';
import type { Benchmark, Context, Goal, Measure, Result } from './benchmark.ts';
import { median, show } from './figures.ts';
import { costOf } from './process-cost.ts';

const sizes = [128, 512, 4_096];
/** What counts: messages of this size. */
const goalBytes = 512;
const floors = { store: 150_000, load: 100_000 };
const peakMaxMb = 200;
const port = 18_431;

/** Rates a second, CPU of nats3 and of nats-server in µs a message, the peak memory of nats3, and stored bytes a message. */
type Figures = {
  rawRead: number;
  rawReadServerMicros: number;
  store: number;
  storeMicros: number;
  storeServerMicros: number;
  rawPublish: number;
  rawPublishServerMicros: number;
  load: number;
  loadMicros: number;
  loadServerMicros: number;
  peakMb: number;
  storedBytes: number;
};

export const benchmark: Benchmark = {
  name: 'nats3',
  title: 'nats3: a stream into S3 and back',
  about:
    'One stream of real places as text is stored in a bucket (versitygw) and loaded into another stream of the same nats-server, default settings, all on ' +
    'the same two cores. Beside it, in the same run and on the same server: reading that stream and throwing it away, and publishing those messages with one ' +
    'answer a hundred. Time runs from the order to the job’s end; CPU and memory are those of nats3 alone, but for what nats-server spends on a message: ' +
    'most of it on one core, so that it bounds the rate.',
  async run({ quick, say }: Context): Promise<Result> {
    const measures: Measure[] = [];
    const goals: Goal[] = [];
    for (const size of quick ? [goalBytes] : sizes) {
      const messages = Math.min(quick ? 400_000 : 1_000_000, Math.floor(512e6 / size));
      const runs: Figures[] = [];
      for (let round = 0; round < (quick ? 1 : 3); round++) runs.push(await measure(size, messages));
      const of = (key: keyof Figures): number[] => runs.map((run) => run[key]);
      const at = (key: keyof Figures): number => median(of(key));
      const label = `${size.toLocaleString('en-US')} bytes`;
      const side = (what: string, name: 'store' | 'load', raw: 'rawRead' | 'rawPublish'): string =>
        `${what} ${show(at(name))}/s (raw ${show(at(raw))}) for ${show(at(`${name}Micros`))} µs CPU a message and ` +
        `${show(at(`${name}ServerMicros`))} of nats-server (raw ${show(at(`${raw}ServerMicros`))})`;
      say(
        `${label}: ${side('stored', 'store', 'rawRead')}, ${side('loaded', 'load', 'rawPublish')}, ` +
          `${show(at('storedBytes'))} bytes stored a message, peak ${show(at('peakMb'))} MB`,
      );
      measures.push(
        { name: `store, ${label}`, unit: 'messages/s', values: of('store') },
        { name: `store, ${label}`, unit: 'MB/s', values: of('store').map((rate) => (rate * size) / 1e6) },
        { name: `raw read, ${label}`, unit: 'messages/s', values: of('rawRead') },
        { name: `load, ${label}`, unit: 'messages/s', values: of('load') },
        { name: `load, ${label}`, unit: 'MB/s', values: of('load').map((rate) => (rate * size) / 1e6) },
        { name: `raw publish, ${label}`, unit: 'messages/s', values: of('rawPublish') },
        { name: `store, ${label}, CPU`, unit: 'µs/message', values: of('storeMicros') },
        { name: `load, ${label}, CPU`, unit: 'µs/message', values: of('loadMicros') },
        { name: `nats-server during store, ${label}, CPU`, unit: 'µs/message', values: of('storeServerMicros') },
        { name: `nats-server during raw read, ${label}, CPU`, unit: 'µs/message', values: of('rawReadServerMicros') },
        { name: `nats-server during load, ${label}, CPU`, unit: 'µs/message', values: of('loadServerMicros') },
        { name: `nats-server during raw publish, ${label}, CPU`, unit: 'µs/message', values: of('rawPublishServerMicros') },
        { name: `stored, ${label}`, unit: 'bytes/message', values: of('storedBytes') },
        { name: `peak memory, ${label}`, unit: 'MB', values: of('peakMb') },
      );
      if (size !== goalBytes) continue;
      goals.push(
        { name: `store, ${label}`, value: at('store'), unit: 'messages/s', bound: { atLeast: floors.store }, enforced: false },
        { name: `load, ${label}`, value: at('load'), unit: 'messages/s', bound: { atLeast: floors.load }, enforced: false },
        {
          name: 'stored bytes of payload',
          value: at('storedBytes') / size,
          unit: 'ratio',
          bound: { atMost: 0.25 },
          enforced: true,
        },
        { name: 'nats3, peak memory', value: at('peakMb'), unit: 'MB', bound: { atMost: peakMaxMb }, enforced: true },
      );
    }
    return { measures, goals };
  },
};

async function measure(size: number, messages: number): Promise<Figures> {
  const directory = temporaryDirectory('bench-nats3');
  const nats = await startNats({ storeDir: join(directory, 'nats') });
  const { server: s3, credentials } = await startS3({ dataDir: join(directory, 's3') });
  const link = await connectNats({ urls: [nats.url], name: 'bench' });
  try {
    const payloads = payloadsOf(size);
    const published = await beside(nats, () => publish(link, 'PLACES', payloads, messages));
    const read = await beside(nats, () => readAway(link, 'PLACES', messages));
    await link.manager.streams.add({ name: 'AGAIN', subjects: ['AGAIN.>'] });
    return {
      rawPublish: messages / published.result,
      rawPublishServerMicros: (published.serverMs * 1000) / messages,
      rawRead: messages / read.result,
      rawReadServerMicros: (read.serverMs * 1000) / messages,
      ...(await work(nats, s3, credentials, messages)),
    };
  } finally {
    await link.close();
    await s3.stop();
    await nats.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the server spends meanwhile. */
async function beside<Made>(server: Server, work: () => Promise<Made>): Promise<{ result: Made; serverMs: number }> {
  const before = costOf(server.pid).cpuMs;
  const result = await work();
  return { result, serverMs: costOf(server.pid).cpuMs - before };
}

/** Texts of one size, made of real places. */
function payloadsOf(size: number): Buffer[] {
  const texts = [...places(20_000)].map((place) => place.source);
  return texts.map((_, at) => {
    let text = '';
    for (let next = at; text.length < size; next++) text += texts[next % texts.length]!;
    return Buffer.from(text).subarray(0, size);
  });
}

/** Seconds to publish so many messages and have them acknowledged. */
async function publish(link: NatsLink, stream: string, payloads: readonly Buffer[], messages: number): Promise<number> {
  await link.manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
  const inbox = createInbox();
  const [every, window] = [100, 6_000];
  const answered = { through: 0, change: Promise.withResolvers<void>() };
  const answers = link.connection.subscribe(`${inbox}.*`, {
    callback: (_error, answer) => {
      answered.through = Number(answer.subject.slice(inbox.length + 1));
      answered.change.resolve();
      answered.change = Promise.withResolvers();
    },
  });
  const lines = new PublishLines();
  const startedAt = performance.now();
  for (let sent = 0; answered.through < messages;) {
    while (sent < messages && sent - answered.through < window && lines.bytes < 65_536) {
      const payload = payloads[sent++ % payloads.length]!;
      const reply = sent % every === 0 || sent === messages ? `${inbox}.${sent}` : '';
      lines.begin(`${stream}.${sent % 10}`, reply, leastHeaderBytes, payload.length);
      lines.end(payload, 0, payload.length);
    }
    if (lines.bytes > 0) sendLines(link.connection, lines.take());
    const isFull = sent - answered.through >= window || sent === messages;
    await (isFull ? answered.change.promise : turn());
  }
  answers.unsubscribe();
  return (performance.now() - startedAt) / 1000;
}

/** Seconds to read a stream and throw it away, acknowledging in bulk. */
async function readAway(link: NatsLink, stream: string, messages: number): Promise<number> {
  await link.manager.consumers.add(stream, { durable_name: 'raw', ack_policy: 'all', max_ack_pending: -1 });
  const batch = 10_000;
  const inbox = createInbox();
  const asking = `$JS.API.CONSUMER.MSG.NEXT.${stream}.raw`;
  let [read, left] = [0, 0];
  const ask = (): void => {
    left = batch;
    link.connection.publish(asking, JSON.stringify({ batch, expires: 30e9 }), { reply: inbox });
  };
  const startedAt = performance.now();
  await new Promise<void>((resolve) => {
    link.connection.subscribe(inbox, {
      callback: (_error, message) => {
        // What has no reply is not a message of the stream: the request has run out of its time.
        if (message.reply === undefined || message.reply === '') {
          ask();
          return;
        }
        read++;
        if (--left > 0 && read < messages) return;
        link.connection.publish(message.reply, '+ACK');
        if (read >= messages) resolve();
        else ask();
      },
    });
    ask();
  });
  const seconds = (performance.now() - startedAt) / 1000;
  await link.manager.consumers.delete(stream, 'raw');
  return seconds;
}

type Credentials = { accessKey: string; secretKey: string; region: string };

async function work(
  nats: Server,
  s3: Server,
  credentials: Credentials,
  messages: number,
): Promise<Omit<Figures, `raw${string}`>> {
  const main = fileURLToPath(new URL('../src/nats3/main.ts', import.meta.url));
  const { BENCH_PROFILES: profiles } = process.env;
  const flags = profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${profiles}`];
  const child = spawn(
    process.execPath,
    [
      ...flags,
      '--max-semi-space-size=4',
      main,
      'server',
      `--nats-url=${nats.url}`,
      `--s3-endpoint=${s3.url}`,
      `--listen=127.0.0.1:${port}`,
      '--log-level=warn',
    ],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: credentials.accessKey,
        AWS_SECRET_ACCESS_KEY: credentials.secretKey,
        AWS_REGION: credentials.region,
      },
    },
  );
  const pid = child.pid!;
  killAtEnd(pid);
  const gone = once(child, 'exit');
  try {
    await moment(child, async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok);
    const toStore = { stream: 'PLACES', subject: '>', bucket: 'bench', create_bucket: true, until: 'end' };
    const { result: stored, serverMs: storeServerMs } = await beside(nats, () => timed(child, pid, '/store/job', toStore));
    const toLoad = { bucket: 'bench', read_stream: 'PLACES', read_subject: 'PLACES.>', write_subject: 'AGAIN.>' };
    const { result: loaded, serverMs: loadServerMs } = await beside(nats, () => timed(child, pid, '/load/job', toLoad));
    for (const { job } of [stored, loaded])
      if (job.messages !== messages) throw new Error(`${job.kind} job: ${JSON.stringify(job)}`);
    return {
      store: messages / stored.seconds,
      storeMicros: (stored.cpuMs * 1000) / messages,
      storeServerMicros: (storeServerMs * 1000) / messages,
      load: messages / loaded.seconds,
      loadMicros: (loaded.cpuMs * 1000) / messages,
      loadServerMicros: (loadServerMs * 1000) / messages,
      peakMb: costOf(pid).peakBytes / 2 ** 20,
      storedBytes: stored.job.stored_bytes! / messages,
    };
  } finally {
    process.kill(pid, profiles === undefined ? 'SIGKILL' : 'SIGTERM');
    await gone;
    spareAtEnd(pid);
  }
}

/** Orders a job and waits for its end. */
async function timed(
  child: { exitCode: number | null },
  pid: number,
  path: string,
  order: object,
): Promise<{ seconds: number; cpuMs: number; job: JobAnswer }> {
  const before = costOf(pid);
  const startedAt = performance.now();
  const url = `http://127.0.0.1:${port}${path}`;
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'bench', ...order }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  let job: JobAnswer | undefined;
  await moment(child, async () => {
    job = (await (await fetch(`${url}/bench`)).json()) as JobAnswer;
    return job.status === 'done' || job.status === 'failed';
  });
  return { seconds: (performance.now() - startedAt) / 1000, cpuMs: costOf(pid).cpuMs - before.cpuMs, job: job! };
}

async function moment(child: { exitCode: number | null }, ask: () => Promise<boolean>): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error('nats3 has ended');
    if (await ask().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
