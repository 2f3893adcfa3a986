import { setTimeout as sleep } from 'node:timers/promises';
import type { ElasticClient } from '../../src/elastic/index.ts';
import type { Place } from './places.ts';
import { bar, barWidth, seconds, sparkline, type Screen } from './screen.ts';
import { atRest, type Stack } from './stack.ts';
import { Probe, quantile, Traffic } from './traffic.ts';
import { until } from './until.ts';

export type LiveOptions = {
  source: ElasticClient;
  target: ElasticClient;
  index: string;
  seconds: number;
  places: Iterable<Place>;
};

const changesPerSecond = 400;
const screenEveryMs = 100;
/** Part of the time after which the writer is killed, and the longest that it stays dead. */
const killAt = 0.4;
const deadMsMax = 3_000;
/** A lag of this much is as high as the sparkline goes, unless one is higher. */
const lagOfNoteMs = 500;

/** Changes at the source for some seconds, with the lag shown and the writer killed on the way; returns when all has arrived. */
export async function showLive(screen: Screen, stack: Stack, options: LiveOptions): Promise<void> {
  const { source, target, index } = options;
  const liveMs = options.seconds * 1_000;
  screen.heading(`${options.seconds} seconds of changes; lag: from the source's answer until the target has the change`);
  const ended = new AbortController();
  const traffic = new Traffic(source, index, options.places);
  const probe = new Probe(source, target, index);
  const startedAt = performance.now();
  let wrong: unknown;
  const working = Promise.all([
    traffic.run(changesPerSecond, ended.signal),
    probe.run(ended.signal),
    killAndRestart(screen, stack, liveMs),
  ]).catch((error: unknown) => {
    wrong = error;
    ended.abort();
  });
  const lags: number[] = [];
  for (let elapsedMs = 0; elapsedMs < liveMs && !ended.signal.aborted; elapsedMs = performance.now() - startedAt) {
    const at = Math.floor((elapsedMs / liveMs) * barWidth);
    lags[at] = Math.max(lags[at] ?? 0, probe.lagMs);
    screen.live(
      `  ${bar(elapsedMs / liveMs)}  ${traffic.describe()}, lag ${seconds(probe.lagMs)}`,
      `  ${screen.paint(
        'cyan',
        sparkline(
          [...lags].map((lag) => lag ?? 0),
          lagOfNoteMs,
        ).padEnd(barWidth),
      )}  lag`,
    );
    await sleep(screenEveryMs);
  }
  ended.abort();
  await working;
  if (wrong !== undefined) throw wrong;
  // when a change made now has arrived, the watcher has seen all before it; what the writer says of its lag is a second old at most
  await probe.once();
  await sleep(1_000);
  await until('the last changes', () => atRest(stack));
  screen.settle(
    screen.tick(traffic.describe()),
    screen.tick(`lag: ${seconds(quantile(probe.lagsMs, 0.5))} in the middle, ${seconds(Math.max(...probe.lagsMs))} at most`),
  );
}

async function killAndRestart(screen: Screen, { writer }: Stack, liveMs: number): Promise<void> {
  await sleep(liveMs * killAt);
  const { pid } = writer;
  await writer.end('SIGKILL');
  screen.line(`  ${screen.paint('red', '✗')} es-writer (pid ${pid}) killed with SIGKILL`);
  await sleep(Math.min(deadMsMax, liveMs / 10));
  const tookMs = await writer.start();
  screen.line(screen.tick(`es-writer (pid ${writer.pid}) started again, at work after ${seconds(tookMs)}`));
}
