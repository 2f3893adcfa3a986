import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/service/suggest.ts';

const NAMES = ['es-hosts', 'es-username', 'nats-url', 'poll-interval', 'publish-window'];

test('the nearest name is found through slips of the finger, and nothing where nothing is near', () => {
  assert.equal(nearest('es-host', NAMES), 'es-hosts');
  assert.equal(nearest('es-hsots', NAMES), 'es-hosts');
  assert.equal(nearest('natsurl', NAMES), 'nats-url');
  assert.equal(nearest('pollinterval', NAMES), 'poll-interval');
  assert.equal(nearest('publish', NAMES), 'publish-window');
  assert.equal(nearest('es-hosts-of-the-source', NAMES), 'es-hosts');
  assert.equal(nearest('es', NAMES), undefined);
  assert.equal(nearest('colour', NAMES), undefined);
});
