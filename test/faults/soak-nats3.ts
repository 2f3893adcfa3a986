import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RoundTripResult } from '../../scripts/docs/reliability.ts';
import { startNats, startS3, temporaryDirectory } from '../../scripts/servers.ts';
import { assertReplayed, mixedMessages, publishAll, readAll, type Given } from '../support/archive-messages.ts';
import { ArchiveStage, linkTo } from '../support/archive-stage.ts';
import { Random, seedOfRun } from '../support/random.ts';

/**
 * Round trips of MESSAGES (1,000,000) messages, a stream of 50,000 after the other, with SEED: from a stream into S3 and into another stream, by a
 * server that is killed meanwhile; compared byte for byte. The totals are appended to docs/round-trips.jsonl, or the file named by
 * RESULTS; scripts/docs.ts shows them in docs/reliability.md.
 */
const wanted = Number(process.env['MESSAGES'] ?? 1_000_000);
const seed = seedOfRun('soak nats3');
const root = join(import.meta.dirname, '../..');
const results = process.env['RESULTS'] ?? join(root, 'docs/round-trips.jsonl');
const roundMessages = 50_000;
const publishedAtOnce = 1_000;
const largestBytes = 8 * 2 ** 20;
const withinMs = 300_000;

const home = temporaryDirectory('soak-nats3');
// Headers of its own come on top when a message is published again.
const nats = await startNats({ storeDir: join(home, 'nats'), config: `max_payload: ${largestBytes + 65_536}` });
const { server: s3, credentials } = await startS3({ dataDir: join(home, 's3') });
const stage = new ArchiveStage({ nats: nats.url, s3: s3.url, credentials, flags: { 'lease-timeout': '1s' } });
const link = await linkTo(nats.url);
await stage.program.startReady();

const startedAt = Date.now();
const total: RoundTripResult = {
  date: new Date().toISOString().slice(0, 10),
  seed,
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
  machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  nats: nats.name,
  s3: s3.name,
  minutes: 0,
  messages: 0,
  bytes: 0,
  kills: 0,
  outcome: 'exact',
};

function messagesOf(random: Random, stream: string, count: number): Given[] {
  const subjects = Array.from({ length: 500 }, (_, at) => `${stream}.${random.pick(['a', 'b.c', 'größe'])}.${at}`);
  const messages = mixedMessages(random, count, subjects);
  for (const bytes of [largestBytes, random.between(1, largestBytes), random.between(1, largestBytes)]) {
    const at = random.between(0, count - 1);
    messages[at] = { ...messages[at]!, payload: Buffer.alloc(bytes, `${random.seed} ${at}\n`) };
  }
  return messages;
}

/** Orders a job, kills the server while it is at it, and waits for its end. */
async function work(path: string, random: Random, order: () => Promise<unknown>): Promise<void> {
  await order();
  for (let kills = random.between(0, 2); kills > 0; kills--) {
    await pause(random.between(0, 800));
    await stage.program.kill();
    total.kills++;
    await stage.program.startReady();
  }
  await stage.finished(path, withinMs);
}

async function round(number: number, count: number): Promise<void> {
  const random = new Random(`${seed}/${number}`);
  const [name, stream, target] = [`r${number}`, `S${number}`, `T${number}`];
  for (const each of [stream, target]) await link.manager.streams.add({ name: each, subjects: [`${each}.>`] });
  const given = messagesOf(random, stream, count);
  for (let at = 0; at < count; at += publishedAtOnce) await publishAll(link, stream, given.slice(at, at + publishedAtOnce));
  const toStore = { name, stream, subject: '>', bucket: 'soak', until: 'end', batch: { max_bytes: 4 * 2 ** 20 } };
  await work(`/store/job/${name}`, random, () => stage.store(toStore));
  const toLoad = { name, bucket: 'soak', read_stream: stream, read_subject: `${stream}.>`, write_subject: `${target}.>` };
  await work(`/load/job/${name}`, random, () => stage.load(toLoad));
  const originals = await readAll(link, stream);
  assertReplayed(originals, await readAll(link, target), (subject) => subject.replace(stream, target));
  total.messages += originals.length;
  for (const { payload } of originals) total.bytes += payload.length;
  for (const each of [stream, target]) await link.manager.streams.delete(each);
}

for (let number = 0; total.messages < wanted && total.outcome === 'exact'; number++) {
  try {
    await round(number, Math.min(roundMessages, wanted - total.messages));
  } catch (error) {
    total.outcome = 'different';
    console.error(`round ${seed}/${number} failed:`, error);
  }
  total.minutes = Math.round((Date.now() - startedAt) / 60_000);
  console.log(
    `  so far, in ${total.minutes} minutes: ${total.messages} messages, ${total.bytes} bytes, ${total.kills} kills, equal`,
  );
}
appendFileSync(results, `${JSON.stringify(total)}\n`);
console.log(JSON.stringify(total));
process.exit(total.outcome === 'exact' ? 0 : 1);
