/** NATS JetStream: streams of changes as MessageSink and MessageSource, and what belongs to running them. */
export { acknowledgedBefore } from './acknowledged.ts';
export { systemClock, type Clock } from './clock.ts';
export { connectNats, type ConnectOptions, type NatsLink, type NatsSettings } from './connect.ts';
export type { Undeliverable } from './dead-letter.ts';
export { DeadLetters } from './dead-letters.ts';
export { bucketName, openDocuments, readDocuments, type DocumentReader, type Documents } from './documents.ts';
export { natsFailure } from './failures.ts';
export { Chain } from './chain.ts';
export type { ChainMessage } from './chain-lines.ts';
export { firstSequence } from './api.ts';
export { natsSettingsOf } from './from-settings.ts';
export { KeyValue, type Entry } from './key-value.ts';
export { ensureOrderedConsumer } from './ordered-consumer.ts';
export { openOrderedSource, type Mark, type OrderedSource } from './ordered-source.ts';
export { replayableLines, replayHeader } from './replay-headers.ts';
export { scanSubject, type Scanned } from './later-deletes.ts';
export { MemoryStream } from './memory.ts';
export { openSink } from './sink.ts';
export type { JetStreamSink } from './sink-settings.ts';
export { openSource } from './source.ts';
export type { JetStreamSource, SourceLag } from './source-settings.ts';
export { openSpace, type StreamSpace } from './space.ts';
export {
  changeStreamFor,
  type EnsuredStream,
  ensureChangeStream,
  ensureDeadLetterStream,
  ensureOutputStream,
  ensureReplayStream,
  examineStream,
  findStream,
  rawStreamOf,
  streamIdentity,
  type StreamIdentity,
  type StreamSettings,
} from './streams.ts';
export type { WireMessage } from './wire.ts';
export { leastHeaderBytes } from './wire-out.ts';
