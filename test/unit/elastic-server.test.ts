import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRoot } from '../../src/elastic/server.ts';

const uuid = 'LhqAvvIRQkuT8FZsKjJllw';
const root = (version: object, tagline = 'You Know, for Search') => ({ cluster_name: 'c', cluster_uuid: uuid, tagline, version });
const openSearch = 'The OpenSearch Project: https://opensearch.org/';

function seen(answer: unknown) {
  const { distribution, version, warning } = readRoot(answer, 'http://x');
  return [distribution, version.major, version.minor, warning === undefined];
}

test('what is behind an address', () => {
  assert.deepEqual(seen(root({ number: '7.17.15', lucene_version: '8.11.1' })), ['elasticsearch', 7, 17, true]);
  assert.deepEqual(seen(root({ number: '8.19.13' })), ['elasticsearch', 8, 19, true]);
  assert.deepEqual(seen(root({ number: '9.4.3' })), ['elasticsearch', 9, 4, true]);
  assert.deepEqual(seen(root({ number: '10.0.0-SNAPSHOT' })), ['elasticsearch', 10, 0, false]);
  assert.deepEqual(seen(root({ number: '1.3.20', distribution: 'opensearch' }, openSearch)), ['opensearch', 1, 3, false]);
  assert.deepEqual(seen(root({ number: '3.8.0', distribution: 'opensearch' }, openSearch)), ['opensearch', 3, 8, true]);
  assert.deepEqual(seen(root({ number: '4.0.0', distribution: 'opensearch' }, openSearch)), ['opensearch', 4, 0, false]);
});

test("Amazon's compatibility mode is OpenSearch under another number", () => {
  assert.equal(readRoot(root({ number: '7.10.2', lucene_version: '9.7.0' }, openSearch), 'x').distribution, 'opensearch');
  assert.equal(readRoot(root({ number: '7.10.2', lucene_version: '9.7.0' }), 'x').distribution, 'opensearch');
});

test('what cannot be worked with is refused by name', () => {
  for (const [answer, message] of [
    [root({ number: '7.10.2', lucene_version: '8.7.0' }), /http:\/\/x is elasticsearch 7\.10\.2, which is too old/],
    [root({ number: '6.8.23' }), /too old/],
    [root({ number: '1.2.4', distribution: 'opensearch' }, openSearch), /opensearch 1\.2\.4, which is too old/],
    [{ hello: 'world' }, /not Elasticsearch or OpenSearch/],
    [null, /not Elasticsearch or OpenSearch/],
  ] as const) {
    assert.throws(() => readRoot(answer, 'http://x'), {
      code: 'ES_UNSUPPORTED',
      message,
      hint: /^supported are Elasticsearch 7\.17/,
    });
  }
});

test('a node without a cluster is asked again later', () => {
  assert.throws(() => readRoot({ ...root({ number: '8.19.0' }), cluster_uuid: '_na_' }, 'x'), {
    code: 'ES_UNAVAILABLE',
    transient: true,
  });
});
