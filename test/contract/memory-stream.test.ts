import { MemoryStream } from '../../src/jetstream/index.ts';
import { messageSinkContract } from './message-sink.ts';
import { messageSourceContract } from './message-source.ts';

messageSinkContract('in memory', async ({ maxBytes }) => {
  const stream = new MemoryStream({ maxBytes });
  return {
    sink: stream.sink(),
    read: async () => stream.messages,
    purgeThrough: async (sequence) => stream.purgeThrough(sequence),
    close: async () => undefined,
  };
});

messageSourceContract('in memory', async () => {
  const ackWaitMs = 300;
  const stream = new MemoryStream({ ackWaitMs });
  const sink = stream.sink();
  return {
    ackWaitMs,
    windowBytes: 500_000,
    publish: async (messages) => void (await Promise.all(messages.map((message) => sink.publish(message)))),
    open: async ({ consumer, ...window }) => stream.source(consumer, window),
    close: () => sink.close(),
  };
});
