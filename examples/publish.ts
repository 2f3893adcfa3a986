import { connectNats } from '../src/jetstream/index.ts';

/** `publish.ts STREAM SUBJECT COUNT`: makes the stream if there is none, and publishes texts to it. */
const [stream = '', subject = '', count = '0'] = process.argv.slice(2);
const link = await connectNats({ urls: [process.env['NATS_URL'] ?? 'nats://localhost:4222'], name: 'example' });
const known = await link.manager.streams.info(stream).catch(() => undefined);
if (known === undefined) await link.manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
for (let i = 1; i <= Number(count); i++) await link.jetstream.publish(subject, `${subject} ${i}`);
await link.close();
