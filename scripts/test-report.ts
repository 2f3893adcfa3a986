import { relative } from 'node:path';
import type { run } from 'node:test';
import { inspect } from 'node:util';

export type Counts = { passed: number; failed: number; skipped: number };

/** Tests that took this long get a line of their own; the others are counted in their file's line. */
const SLOW_MS = 1_000;
/** What the runner says about its own counts; we count ourselves. */
const OWN_COUNTS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /;

/** Prints the progress of a run, a line a file, and returns what came of its tests. Suites are not counted, only their tests. */
export async function report(events: ReturnType<typeof run>, root: string): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const event of events) {
    switch (event.type) {
      case 'test:pass': {
        const { name, details, skip, todo } = event.data;
        if (skip !== undefined && skip !== false) print(`  skipped  ${name}${typeof skip === 'string' ? `: ${skip}` : ''}`);
        else if (details.type !== 'suite' && todo === undefined && details.duration_ms > SLOW_MS)
          print(`  ok  ${name}  ${seconds(details.duration_ms)}`);
        break;
      }
      case 'test:fail': {
        const { name, details, file } = event.data;
        const { cause, message, failureType } = details.error as Error & { failureType?: string };
        // a suite fails because of a test that was shown already
        if (failureType === 'subtestsFailed') break;
        print(`  FAILED  ${name}  (${file === undefined ? 'no file' : relative(root, file)})`);
        print(indent(cause instanceof Error ? inspect(cause) : message));
        break;
      }
      case 'test:diagnostic':
        if (!OWN_COUNTS.test(event.data.message)) print(`  ${event.data.message}`);
        break;
      case 'test:stdout':
      case 'test:stderr':
        process.stdout.write(event.data.message);
        break;
      case 'test:summary': {
        const { file, counts: found, duration_ms: durationMs } = event.data;
        const failed = found.failed + found.cancelled;
        if (file !== undefined)
          print(`${relative(root, file)}  ${found.passed} passed, ${failed} failed  ${seconds(durationMs)}`);
        else Object.assign(counts, { passed: found.passed, failed, skipped: found.skipped + found.todo });
        break;
      }
      default:
    }
  }
  return counts;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '      ');
}
