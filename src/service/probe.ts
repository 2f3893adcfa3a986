import { get } from 'node:http';
import { GatewayError } from '../core/errors.ts';
import { formatListen, type ListenAddress } from './kinds.ts';

const answerWithinMs = 5_000;

/** What `--probe` asks for. */
export type Health = 'live' | 'ready';

/**
 * Asks the program that listens at `listen` how it is: for health checks where there is neither a shell nor curl. Throws PROBE_FAILED where
 * nobody answers.
 */
export async function probe(health: Health, listen: ListenAddress): Promise<{ ok: boolean; answer: string }> {
  if (listen === 'off' || listen.port === 0) {
    throw new GatewayError('PROBE_FAILED', `there is no admin server to ask at --admin-listen ${formatListen(listen)}`, {
      hint: 'give the program, and its probe, an address (ADMIN_LISTEN) with a port of its own',
    });
  }
  const anywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const host = anywhere[listen.host] ?? listen.host;
  const { promise, resolve, reject } = Promise.withResolvers<{ ok: boolean; answer: string }>();
  const request = get({ host, port: listen.port, path: `/health/${health}`, timeout: answerWithinMs }, (response) => {
    let answer = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
    response.on('end', () => resolve({ ok: response.statusCode === 200, answer }));
  });
  request.on('timeout', () => request.destroy(new Error(`no answer within ${answerWithinMs / 1_000} s`)));
  request.on('error', (cause) =>
    reject(
      new GatewayError('PROBE_FAILED', `no answer from ${formatListen({ host, port: listen.port })}: ${cause.message}`, {
        hint: 'is the program running, and was it given the same --admin-listen (ADMIN_LISTEN)?',
        cause,
      }),
    ),
  );
  return promise;
}
