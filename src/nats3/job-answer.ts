import type { JobRecord, JobState } from './job.ts';
import type { JobAnswer } from './schema.ts';

/** What the API tells of a job: what was ordered, and how far it is. `away`: why the state may be old. */
export function answerOf(record: JobRecord, state: JobState | undefined, away?: string): JobAnswer {
  const { kind, name, id, created, spec } = record;
  const base = { kind, name, id, created, spec: spec as unknown as Record<string, unknown> };
  if (state === undefined) {
    const idle = { messages: 0, bytes: 0, objects: 0, rate: 0 };
    const status = record.wanted === 'pause' ? 'paused' : away === undefined ? 'running' : 'degraded';
    return { ...base, ...idle, status, ...(away === undefined ? {} : { reason: away }) };
  }
  const isAtWork = state.status === 'running' || state.status === 'degraded';
  const status = isAtWork && away !== undefined ? 'degraded' : state.status;
  const reason = status === 'degraded' && away !== undefined ? away : state.reason;
  const { messages, bytes, storedBytes, objects, lastError, skipped } = state;
  return {
    ...base,
    status,
    ...(reason === undefined ? {} : { reason }),
    updated: state.updated,
    server: state.server,
    messages,
    bytes,
    ...(kind === 'store' ? { stored_bytes: storedBytes } : { skipped }),
    objects,
    ...(messages === 0 ? {} : { first_seq: state.firstSequence, last_seq: state.lastSequence }),
    ...(state.lag === undefined ? {} : { lag: state.lag }),
    rate: isAtWork ? Math.round(state.rate * 10) / 10 : 0,
    ...(lastError === undefined ? {} : { last_error: lastError }),
  };
}
