import { joinTime } from './time.ts';

/** A message of a stream, complete: what goes into an archive, and what comes out. */
export type ArchiveMessage = {
  readonly subject: string;
  /** The header block as it went over the wire, `NATS/1.0\r\n` to the blank line; empty for a message without headers. */
  readonly headers: Uint8Array;
  /** Position in the stream. */
  readonly sequence: number;
  /** When the stream stored it: whole ms since 1970. */
  readonly timestamp: number;
  /** And the ns within that ms, 0 to 999,999. */
  readonly nanos: number;
  readonly payload: Uint8Array;
};

/** The same, where it lies among other bytes: the header block from `headersAt`, the payload from `payloadAt` to `end`. */
export type PlacedMessage = Pick<ArchiveMessage, 'subject' | 'sequence' | 'timestamp' | 'nanos'> & {
  readonly bytes: Buffer;
  readonly headersAt: number;
  readonly payloadAt: number;
  readonly end: number;
};

/** The time that a stream gave a message, in ns since 1970. */
export function timeOf(message: Pick<ArchiveMessage, 'timestamp' | 'nanos'>): bigint {
  return joinTime(message.timestamp, message.nanos);
}
