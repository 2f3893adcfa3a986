import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ObjectStore, StoredObject } from '../../src/core/strategy.ts';

/** Makes a store whose bucket does not exist yet. Its listings come in pages of `pageKeys`, where it has pages. */
export const pageKeys = 10;
export type MakeStore = (bucket: string) => Promise<ObjectStore>;

async function listed(store: ObjectStore, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const object of store.list(prefix, after)) keys.push(object.key);
  return keys;
}

/** What every ObjectStore promises. */
export function objectStoreContract(name: string, make: MakeStore): void {
  describe(`ObjectStore: ${name}`, () => {
    let store: ObjectStore;
    before(async () => {
      store = await make('contract-objects');
    });
    after(() => store.close());

    it('makes its bucket once', async () => {
      assert.equal(await store.bucket('exists'), false);
      assert.equal(await store.bucket('create'), true);
      assert.equal(await store.bucket('create'), false);
      assert.equal(await store.bucket('exists'), true);
    });

    it('keeps bytes as they are, and gives any range of them', async () => {
      const body = Buffer.from(Array.from({ length: 70_000 }, (_, at) => (at * 7) % 256));
      const put = await store.put('bytes', body, { contentType: 'application/octet-stream' });
      assert.equal(put.is, 'stored');
      assert.deepEqual(await store.get('bytes'), body);
      assert.deepEqual(await store.get('bytes', { from: 0, to: 0 }), body.subarray(0, 1));
      assert.deepEqual(await store.get('bytes', { from: 69_990, to: 80_000 }), body.subarray(69_990));
      assert.equal((await store.get('bytes', { from: 70_000, to: 70_001 }))?.length, 0);
      await store.put('empty', Buffer.alloc(0));
      assert.equal((await store.get('empty'))?.length, 0);
    });

    it('takes views of larger buffers', async () => {
      const body = Buffer.from('before|view|after');
      await store.put('view', body.subarray(7, 11));
      assert.equal((await store.get('view'))?.toString(), 'view');
    });

    it('tells size, time and ETag, and of a missing object nothing', async () => {
      const startedAt = Date.now();
      const put = await store.put('facts', Buffer.from('12345'));
      const head = await store.head('facts');
      assert.equal(head?.bytes, 5);
      assert.equal(put.is === 'stored' && put.etag, head?.etag);
      // S3 tells whole seconds.
      assert.ok(head !== undefined && head.modifiedAt >= startedAt - 1_000 && head.modifiedAt <= Date.now() + 1_000);
      assert.deepEqual([await store.head('missing'), await store.get('missing')], [undefined, undefined]);
    });

    it('never overwrites, unless told to', async () => {
      await store.put('once', Buffer.from('first'));
      assert.deepEqual(await store.put('once', Buffer.from('second')), { is: 'exists' });
      assert.equal((await store.get('once'))?.toString(), 'first');
      assert.equal((await store.put('once', Buffer.from('third'), { replace: true })).is, 'stored');
      assert.equal((await store.get('once'))?.toString(), 'third');
    });

    it('lets exactly one of many writers win', async () => {
      const puts = await Promise.all(Array.from({ length: 10 }, (_, at) => store.put('race', Buffer.from(`writer ${at}`))));
      const winners = puts.flatMap((put, at) => (put.is === 'stored' ? [at] : []));
      assert.equal(winners.length, 1);
      assert.equal((await store.get('race'))?.toString(), `writer ${winners[0]}`);
    });

    it('keeps odd keys', async () => {
      const keys = ['odd/a b', 'odd/a%2Fb', 'odd/ümläut/🙂', "odd/+&=?'()*!", 'odd/x.n3b'];
      for (const key of keys) await store.put(key, Buffer.from(key));
      for (const key of keys) assert.equal((await store.get(key))?.toString(), key);
      assert.deepEqual(new Set(await listed(store, 'odd/')), new Set(keys));
      await store.remove(keys);
      assert.deepEqual(await listed(store, 'odd/'), []);
    });

    it('lists by prefix in the order of the bytes, page by page, from a key on', async () => {
      const keys = Array.from({ length: 3 * pageKeys }, (_, at) => `list/${String(at).padStart(5, '0')}`);
      await Promise.all(keys.map((key) => store.put(key, Buffer.from('x'))));
      await store.put('lists', Buffer.from('x'));
      assert.deepEqual(await listed(store, 'list/'), keys);
      assert.deepEqual(await listed(store, 'list/', keys[5]), keys.slice(6));
      assert.deepEqual(await listed(store, 'list/', 'list/00028x'), keys.slice(29));
      const [object] = await Array.fromAsync<StoredObject>(store.list('lists'));
      assert.deepEqual([object?.key, object?.bytes, object?.etag], ['lists', 1, (await store.head('lists'))?.etag]);
      await store.remove([...keys, 'list/missing']);
      assert.deepEqual(await listed(store, 'list/'), []);
      await store.remove([]);
    });

    it('gives up when the signal says so', async () => {
      const signal = AbortSignal.abort();
      await assert.rejects(store.get('bytes', undefined, signal), { code: 'S3_ABORTED', transient: false });
      await assert.rejects(store.put('aborted', Buffer.from('x'), { signal }), { code: 'S3_ABORTED' });
      assert.equal(await store.head('aborted'), undefined);
    });

    it('says that the bucket is missing, which may change', async () => {
      const missing = await make('contract-missing');
      const failure = { code: 'S3_BUCKET_MISSING', transient: true };
      await assert.rejects(missing.put('key', Buffer.from('x')), failure);
      await assert.rejects(missing.get('key'), failure);
      await assert.rejects(missing.head('key'), failure);
      await assert.rejects(listed(missing, ''), failure);
      await assert.rejects(missing.remove(['key']), failure);
      await missing.close();
    });
  });
}
