import * as fc from 'fast-check';
import { encodeHeaders, timeOf, type ArchiveMessage } from '../../src/archive/index.ts';

const token = fc.stringMatching(/^[a-z0-9%_é🙂-]{1,8}$/u);
const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const name = fc.oneof(
  fc.constantFrom('Nats-Msg-Id', 'nats-msg-id', '__proto__', '1', 'X'),
  fc.stringMatching(/^[!-9;-~]{1,12}$/),
);
const value = fc.oneof(fc.constantFrom('', ' ', 'a: b', ' two  spaces '), fc.stringMatching(/^[\x20-\x7eé]{0,20}$/));

/** Header blocks of clients, and some that no client would write. */
const headers = fc.oneof(
  { weight: 3, arbitrary: fc.constant(Buffer.alloc(0)) },
  { weight: 3, arbitrary: fc.array(fc.tuple(name, value), { maxLength: 4 }).map(encodeHeaders) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('NATS/1.0\r\nA:1\r\n\r\n', 'NATS/1.0 100 Idle\r\n\r\n', 'NATS/1.0\r\nA: 1\n\r\n')
      .map((text) => Buffer.from(text)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)) },
);
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.constantFrom('', '\ufeffmark', '\u2028"\\\n', '{"a":1}').map((text) => Buffer.from(text)),
  fc.integer({ min: 100, max: 3_000 }).map((bytes) => Buffer.alloc(bytes, 'text ')),
);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.constant(1) },
  fc.integer({ min: 1, max: 100 }),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, 2 ** 40),
);
const pauseMs = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: -1_000, max: 1_000_000 }), fc.constant(2 ** 31));

/** A stream's messages in order, with odd contents, gaps, and a clock that is set back now and then. */
export const anyMessages: fc.Arbitrary<ArchiveMessage[]> = fc
  .array(
    fc.record(
      { subject, headers, payload, step, pauseMs, nanos: fc.integer({ min: 0, max: 999_999 }) },
      { noNullPrototype: true },
    ),
    { minLength: 1, maxLength: 40 },
  )
  .map((drawn) => {
    let sequence = 0;
    let timestamp = Date.UTC(2025, 10, 21, 9, 59, 59, 990);
    return drawn.map(({ step, pauseMs, ...message }) => {
      sequence += step;
      timestamp += pauseMs;
      return { ...message, sequence, timestamp };
    });
  });

/** For comparisons and messages. */
export function legibleMessage(message: ArchiveMessage): object {
  const { subject, sequence, headers, payload } = message;
  return {
    subject,
    sequence,
    time: timeOf(message),
    headers: Buffer.from(headers).toString('latin1'),
    payload: Buffer.from(payload).toString('latin1'),
  };
}
