import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import {
  bucketName,
  connectNats,
  ensureChangeStream,
  openDocuments,
  readDocuments,
  type NatsLink,
} from '../../src/jetstream/index.ts';
import { sharedNats } from '../support/servers.ts';

const stream = 'DOCUMENTS';
const hourMs = 3_600_000;
let link: NatsLink;

before(async () => {
  link = await connectNats({ urls: [(await sharedNats()).url], name: 'test' });
});
after(() => link.close());
beforeEach(async () => {
  for (const name of [stream, `OBJ_${bucketName(stream)}`]) await link.manager.streams.delete(name).catch(() => false);
  await ensureChangeStream(link, { name: stream, maxBytes: 1_000_000 });
});

const settings = { stream, maxBytes: 50_000_000 };
const large = Uint8Array.from({ length: 3_000_000 }, (_, at) => (at * 31) % 251);
const odd = 'uuid/0.12 "x" é*>';

async function revisions(): Promise<number> {
  return (await link.manager.streams.info(`OBJ_${bucketName(stream)}`)).state.last_seq;
}

describe('documents that are too large for a message', () => {
  it('come back byte for byte, under any name, to whoever has the reference', async () => {
    const documents = await openDocuments(link, settings);
    const reference = await documents.put(odd, large);
    assert.deepEqual(reference, { bucket: 'es-documents-DOCUMENTS', name: odd, bytes: large.length });
    assert.deepEqual(await documents.get(reference), large);
    assert.deepEqual(await readDocuments(link).get(reference), large);
  });

  it('are not written twice, but anew when they differ', async () => {
    const documents = await openDocuments(link, settings);
    await documents.put('a', large);
    const before = await revisions();
    await (await openDocuments(link, settings)).put('a', large);
    assert.equal(await revisions(), before);
    const other = await documents.put('a', large.subarray(1));
    assert.ok((await revisions()) > before);
    assert.deepEqual(await documents.get(other), large.subarray(1));
  });

  it('are missed by name, and never looked for in a foreign bucket', async () => {
    const documents = await openDocuments(link, settings);
    const missing = { code: 'DOCUMENT_MISSING', transient: false };
    await assert.rejects(documents.get({ bucket: documents.bucket, name: 'none', bytes: 1 }), missing);
    await assert.rejects(readDocuments(link).get({ bucket: 'es-documents-NONE', name: 'none', bytes: 1 }), missing);
    await assert.rejects(readDocuments(link).get({ bucket: 'private', name: 'none', bytes: 1 }), missing);
    const reference = await documents.put('short', large);
    await assert.rejects(documents.get({ ...reference, bytes: 5 }), { code: 'DOCUMENT_DAMAGED' });
  });

  it('go when the message that refers to them is purged, not before, and leave nothing behind', async () => {
    const documents = await openDocuments(link, settings);
    const first = await documents.put('first', large);
    const second = await documents.put('second', large);
    const unpublished = await documents.put('unpublished', large);
    await documents.stored(first, 10);
    await documents.stored(second, 20);
    const future = Date.now() + hourMs;
    assert.equal(await documents.removeThrough(9, future), 0);
    assert.equal(await documents.removeThrough(10, future), 1);
    assert.equal(await documents.removeThrough(10, future), 0);
    await assert.rejects(documents.get(first), { code: 'DOCUMENT_MISSING' });
    assert.deepEqual(await documents.get(second), large);
    assert.deepEqual(await documents.get(unpublished), large);
    await documents.stored(unpublished, 21);
    assert.equal(await documents.removeThrough(30, 0), 2);
    assert.equal((await link.manager.streams.info(`OBJ_${bucketName(stream)}`)).state.messages, 0);
  });

  it('of a process that died before it published go once they are old', async () => {
    await (await openDocuments(link, settings)).put('orphan', large);
    const next = await openDocuments(link, settings);
    assert.equal(await next.removeThrough(1_000, Date.now() - hourMs), 0);
    assert.equal(await next.removeThrough(0, Date.now() + hourMs), 1);
  });

  it('of an earlier life of the stream go', async () => {
    const documents = await openDocuments(link, settings);
    await documents.stored(await documents.put('old', large), 500);
    await link.manager.streams.delete(stream);
    await ensureChangeStream(link, { name: stream, maxBytes: 1_000_000 });
    assert.equal(await documents.removeThrough(1, 0), 1);
  });

  it('say that the store is full, as something that passes', async () => {
    const documents = await openDocuments(link, { stream, maxBytes: 1_000_000 });
    await assert.rejects(documents.put('a', large), { code: 'JETSTREAM_REFUSED', transient: true });
    const small = await documents.put('b', large.subarray(0, 100_000));
    assert.equal((await documents.get(small)).length, 100_000);
  });

  it('have a bucket whatever the stream is called', () => {
    assert.equal(bucketName('ES_CHANGES'), 'es-documents-ES_CHANGES');
    assert.equal(bucketName('ä$x'), 'es-documents-__x');
  });
});
