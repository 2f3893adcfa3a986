import { JetStreamApiError, type ConsumerInfo } from '@nats-io/jetstream';
import type { NatsLink } from './connect.ts';
import { apiCode, natsFailure } from './failures.ts';

/** Requests to the JetStream API that the client library does not offer in the form needed here. */

const requestTimeoutMs = 5_000;

type ApiAnswer = { error?: { code: number; err_code: number; description: string } };

async function ask<Answer>(link: NatsLink, call: string, body: unknown, tried: string): Promise<Answer & ApiAnswer> {
  try {
    const reply = await link.connection.request(`${link.apiPrefix}.${call}`, JSON.stringify(body), { timeout: requestTimeoutMs });
    return reply.json<Answer & ApiAnswer>();
  } catch (error) {
    throw natsFailure(error, tried);
  }
}

/**
 * All consumers of a stream, or undefined when the list cannot be trusted to be complete: a consumer's leader did not answer, or
 * consumers came and went while pages were read. (The library's own listing hides both.)
 */
export async function listConsumers(link: NatsLink, stream: string): Promise<ConsumerInfo[] | undefined> {
  type Page = { total: number; consumers?: ConsumerInfo[] | null; missing?: string[] | null };
  const tried = `listing the consumers of stream ${stream}`;
  const found = new Map<string, ConsumerInfo>();
  let total: number | undefined;
  for (;;) {
    const page = await ask<Page>(link, `CONSUMER.LIST.${stream}`, { offset: found.size }, tried);
    if (page.error !== undefined) throw natsFailure(new JetStreamApiError(page.error), tried);
    if ((page.missing ?? []).length > 0 || (total !== undefined && total !== page.total)) return undefined;
    total = page.total;
    const consumers = page.consumers ?? [];
    for (const consumer of consumers) found.set(consumer.name, consumer);
    if (found.size >= total) return [...found.values()];
    if (consumers.length === 0) return undefined;
  }
}

/**
 * Sequence of the first message that answers the question, as the stream's leader knows it; undefined without one. By time, the first
 * stored at or after it (nats-server 2.11 or newer). Never from a replica, which may lag: no direct get here.
 */
export async function firstSequence(
  link: NatsLink,
  stream: string,
  question: { fromSequence: number; subject: string } | { fromMs: number },
): Promise<number | undefined> {
  const tried = `looking for a message in stream ${stream}`;
  const body =
    'subject' in question
      ? { seq: question.fromSequence, next_by_subj: question.subject }
      : { start_time: new Date(question.fromMs).toISOString() };
  const answer = await ask<{ message?: { seq: number } }>(link, `STREAM.MSG.GET.${stream}`, body, tried);
  if (answer.error?.err_code === apiCode.noMessageFound) return undefined;
  if (answer.error !== undefined || answer.message === undefined) {
    throw natsFailure(
      new JetStreamApiError(answer.error ?? { code: 500, err_code: 0, description: 'an answer without a message' }),
      tried,
    );
  }
  return answer.message.seq;
}
