/** NATS JetStream: streams of changes as MessageSink and MessageSource, and what belongs to running them. */
export { firstSequence } from './api.ts';
export { acknowledgedBefore } from './acknowledged.ts';
export { systemClock, type Clock } from './clock.ts';
export {
  connectNats,
  type ConnectionState,
  type ConnectOptions,
  type LinkEvent,
  type NatsLink,
  type NatsSettings,
} from './connect.ts';
export {
  bucketName,
  openDocuments,
  readDocuments,
  type DocumentReader,
  type Documents,
  type DocumentsSettings,
} from './documents.ts';
export type { LetterOrigin, Undeliverable } from './dead-letter.ts';
export { DeadLetters } from './dead-letters.ts';
export { natsFailure } from './failures.ts';
export { natsSettingsOf } from './from-settings.ts';
export { header } from './headers.ts';
export { scanSubject, type Scanned, type ScanSettings } from './later-deletes.ts';
export { MemoryStream, type MemoryStreamSettings } from './memory.ts';
export { openSink, type JetStreamSink, type SinkEvents, type SinkSettings } from './sink.ts';
export { openSource, type JetStreamSource, type SourceEvents, type SourceLag, type SourceSettings } from './source.ts';
export { openSpace, type SpaceEvents, type SpaceSettings, type StreamSpace } from './space.ts';
export {
  changeStreamFor,
  ensureChangeStream,
  ensureDeadLetterStream,
  ensureOutputStream,
  rawStreamOf,
  streamIdentity,
  type EnsuredStream,
  type StreamIdentity,
  type StreamSettings,
} from './streams.ts';
