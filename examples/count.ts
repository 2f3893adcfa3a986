import { connectNats } from '../src/jetstream/index.ts';

/** `count.ts STREAM`: how many messages a stream holds. */
const link = await connectNats({ urls: [process.env['NATS_URL'] ?? 'nats://localhost:4222'], name: 'example' });
const { state } = await link.manager.streams.info(process.argv[2] ?? '');
process.stdout.write(`${state.messages}\n`);
await link.close();
