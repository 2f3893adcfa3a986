import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { DiscardPolicy, RetentionPolicy, type StreamConfig } from '@nats-io/jetstream';
import {
  connectNats,
  ensureChangeStream,
  ensureDeadLetterStream,
  streamIdentity,
  type NatsLink,
} from '../../src/jetstream/index.ts';
import { freshNats, sharedNats } from '../support/servers.ts';

let link: NatsLink;
const name = 'SHAPES';

before(async () => {
  link = await connectNats({ urls: [(await sharedNats()).url], name: 'test' });
});
after(() => link.close());
beforeEach(async () => {
  for (const stream of [name, 'OTHER', 'DEAD']) await link.manager.streams.delete(stream).catch(() => false);
});

async function existing(config: Partial<StreamConfig>): Promise<void> {
  await link.manager.streams.add({ name, subjects: ['es.>'], discard: DiscardPolicy.New, ...config });
}

describe('the stream of changes', () => {
  it('is made with the shape that neither drops nor grows, and found the second time', async () => {
    assert.equal(await streamIdentity(link, name), undefined);
    const made = await ensureChangeStream(link, { name, maxBytes: 50_000_000 });
    assert.equal(made.was, 'created');
    const { config } = await link.manager.streams.info(name);
    assert.deepEqual(
      [
        config.retention,
        config.discard,
        config.storage,
        config.max_bytes,
        config.allow_direct,
        config.duplicate_window,
        config.subjects,
      ],
      ['limits', 'new', 'file', 50_000_000, true, 120e9, ['es.>']],
    );
    const found = await ensureChangeStream(link, { name });
    assert.equal(found.was, 'found');
    assert.equal(found.maxBytes, 50_000_000);
    assert.equal(found.identity.created, made.identity.created);
    assert.deepEqual(await streamIdentity(link, name), found.identity);
  });

  it('gets another byte limit when one is given', async () => {
    await ensureChangeStream(link, { name, maxBytes: 50_000_000 });
    for (const maxBytes of [80_000_000, 20_000_000]) {
      assert.equal((await ensureChangeStream(link, { name, maxBytes })).was, 'changed');
      assert.equal((await link.manager.streams.info(name)).config.max_bytes, maxBytes);
    }
  });

  it('may be made by several at the same moment', async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => ensureChangeStream(link, { name, maxBytes: 1_000_000 })));
    assert.equal(new Set(made.map((one) => one.identity.created)).size, 1);
  });

  const unfit: [string, Partial<StreamConfig>, RegExp][] = [
    ['interest retention', { retention: RetentionPolicy.Interest }, /interest/],
    ['work-queue retention', { retention: RetentionPolicy.Workqueue }, /workqueue/],
    ['discarding old messages', { discard: DiscardPolicy.Old, max_bytes: 1_000_000 }, /discards old/],
    ['a limit per subject', { max_msgs_per_subject: 5 }, /per subject/],
    ['other subjects', { subjects: ['es.acme.>'] }, /es\.acme\.>.*es\.>/],
    ['no purging', { deny_purge: true }, /purged/],
  ];
  for (const [what, config, says] of unfit) {
    it(`is refused with ${what}, saying why`, async () => {
      await existing(config);
      await assert.rejects(ensureChangeStream(link, { name }), (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, 'STREAM_SHAPE');
        assert.match(error.message, says);
        assert.match(error.message, /SHAPES/);
        assert.match(error.hint ?? '', /--stream/);
        return true;
      });
    });
  }

  it('is taken with a warning where it has an age limit, and without one where it has no limit at all', async () => {
    await existing({ max_age: 3600e9 });
    assert.match((await ensureChangeStream(link, { name })).warnings.join(), /3600 s/);
    await link.manager.streams.delete(name);
    await existing({ discard: DiscardPolicy.Old });
    assert.deepEqual((await ensureChangeStream(link, { name })).warnings, []);
  });

  it('names the stream that has its subjects', async () => {
    await link.manager.streams.add({ name: 'OTHER', subjects: ['es.acme.*.index'] });
    await assert.rejects(ensureChangeStream(link, { name }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'STREAM_OVERLAP');
      assert.match(error.message, /OTHER/);
      return true;
    });
  });

  it('refuses a name the server would refuse', async () => {
    await assert.rejects(ensureChangeStream(link, { name: 'a.b' }), { code: 'NAME_INVALID' });
  });
});

describe('the stream of dead letters', () => {
  it('has subjects of its own beside the changes', async () => {
    await ensureChangeStream(link, { name, maxBytes: 1_000_000 });
    assert.equal((await ensureDeadLetterStream(link, { name: 'DEAD', maxBytes: 1_000_000 })).was, 'created');
    assert.deepEqual((await link.manager.streams.info('DEAD')).config.subjects, ['dlq.es.>']);
  });
});

describe('the byte limit of a new stream', () => {
  it('leaves room for the others on a server of any size', async () => {
    for (const gibibytes of [1, 10, 25]) {
      const server = await freshNats({ jetstream: { maxFileBytes: gibibytes * 2 ** 30 } });
      const small = await connectNats({ urls: [server.url], name: 'test' });
      try {
        const changes = await ensureChangeStream(small, { name: 'CHANGES' });
        assert.ok(changes.maxBytes >= gibibytes * 2 ** 28 && changes.maxBytes <= 10 * 2 ** 30, `${changes.maxBytes} bytes`);
        assert.equal((await small.manager.streams.info('CHANGES')).config.max_bytes, changes.maxBytes);
        const letters = await ensureDeadLetterStream(small, { name: 'LETTERS' });
        assert.ok(letters.maxBytes >= 2 ** 27, `${letters.maxBytes} bytes are left`);
      } finally {
        await small.close();
        await server.stop();
      }
    }
  });

  it('is felt downwards to what the server has, and leaves the account a quarter', async () => {
    const server = await freshNats({
      jetstream: { maxFileBytes: 2 ** 30 },
      config: `accounts {
        A { jetstream: { max_file: 400MB }, users: [ { user: a, password: a } ] }
        B { jetstream: enabled, users: [ { user: b, password: b } ] }
      }`,
    });
    const limited = await connectNats({ urls: [server.url], name: 'test', user: 'a', password: 'a' });
    assert.equal((await ensureChangeStream(limited, { name })).maxBytes, 0.75 * 400 * 2 ** 20);
    await ensureDeadLetterStream(limited, { name: 'DEAD' });
    const free = await connectNats({ urls: [server.url], name: 'test', user: 'b', password: 'b' });
    const { maxBytes } = await ensureChangeStream(free, { name });
    assert.ok(maxBytes <= 2 ** 30 && maxBytes > 2 ** 27, `${maxBytes}`);
    await assert.rejects(
      ensureDeadLetterStream(free, { name: 'DEAD', maxBytes: 2 ** 40 }),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, 'STREAM_SPACE');
        assert.match(error.hint ?? '', /--stream-max-bytes/);
        return true;
      },
    );
    await Promise.all([limited.close(), free.close()]);
    await server.stop();
  });
});
