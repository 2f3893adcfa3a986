import { sizeOf, type InstallEvents } from './cache.ts';

const PLAIN_EVERY_MS = 15_000;
const MEASURE_EVERY_MS = 500;

/**
 * Shows one step as a line: `[2/7] Elasticsearch 8.19.13 … 412 MB … ok 48 s`, or `… ready` when `work` called none of the events.
 * A terminal sees the line grow; elsewhere a long step prints a plain line now and then.
 */
export async function step<T>(label: string, work: (events: InstallEvents) => Promise<T>, out = process.stdout): Promise<T> {
  const startedAt = Date.now();
  let stage: string | undefined;
  let bytes = 0;
  let shown = '';
  const show = (text: string, end: boolean) => {
    if (out.isTTY) out.write(`\r\u001b[K${label} … ${text}${end ? '\n' : ''}`);
    else if (end || text !== shown) out.write(`${label} … ${text}\n`);
    shown = text;
  };
  const megabytes = () => (bytes === 0 ? '' : `${Math.ceil(bytes / 1e6)} MB`);
  let done = false;
  let shownAt = startedAt;
  const tick = async () => {
    if (stage === undefined) return;
    bytes = Math.max(bytes, await sizeOf(stage));
    if (done || (!out.isTTY && Date.now() - shownAt < PLAIN_EVERY_MS)) return;
    shownAt = Date.now();
    show(`${megabytes()} ${seconds(startedAt)}`.trim(), false);
  };
  const timer = setInterval(() => void tick(), MEASURE_EVERY_MS);
  try {
    const result = await work({
      onWait: (holder) => show(`another process (${holder}) is at it, waiting`, false),
      onStage: (directory) => {
        stage = directory;
        show('fetching', false);
      },
    });
    done = true;
    show(stage === undefined ? 'ready' : [megabytes(), `ok ${seconds(startedAt)}`].filter(Boolean).join(' … '), true);
    return result;
  } catch (error) {
    done = true;
    show(`failed after ${seconds(startedAt)}`, true);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

function seconds(since: number): string {
  return `${Math.round((Date.now() - since) / 1000)} s`;
}
