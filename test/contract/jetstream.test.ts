import type { Message } from '../../src/core/strategy.ts';
import { connectNats, ensureChangeStream, openSink, openSource, scanSubject, type NatsLink } from '../../src/jetstream/index.ts';
import { sharedNats } from '../support/servers.ts';
import { messageSinkContract } from './message-sink.ts';
import { messageSourceContract } from './message-source.ts';

const name = 'CONTRACT_CHANGES';

/** A link and an empty stream: benches run one after another on the same name, since only one stream can have the subjects. */
async function freshStream(maxBytes: number): Promise<NatsLink> {
  const { url } = await sharedNats();
  const link = await connectNats({ urls: [url], name: 'contract' });
  await link.manager.streams.delete(name).catch(() => undefined);
  await ensureChangeStream(link, { name, maxBytes });
  return link;
}

messageSinkContract('JetStream', async ({ maxBytes }) => {
  const link = await freshStream(maxBytes);
  return {
    sink: openSink(link, { stream: name }),
    read: async () => {
      const messages: Message[] = [];
      await scanSubject(link, {
        stream: name,
        subject: '>',
        afterSequence: 0,
        onMessage: (message) => void messages.push(message),
      });
      return messages;
    },
    purgeThrough: async (sequence) => void (await link.manager.streams.purge(name, { seq: sequence + 1 })),
    close: () => link.close(),
  };
});

messageSourceContract('JetStream', async () => {
  const link = await freshStream(100_000_000);
  const sink = openSink(link, { stream: name });
  const ackWaitMs = 1_000;
  return {
    ackWaitMs,
    windowBytes: 3 * link.maxPayload,
    publish: async (messages) => void (await Promise.all(messages.map((message) => sink.publish(message)))),
    open: (options) => openSource(link, { stream: name, ackWaitMs, ...options }),
    close: () => link.close(),
  };
});
