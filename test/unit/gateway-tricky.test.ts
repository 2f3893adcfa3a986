import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { outcome, rulesOf, transformed } from '../support/gateway-rules.ts';
import { change } from '../support/gateway-stage.ts';

/** Arrays of objects and of arrays, keys with dots, a field spelt in two ways, numbers beyond 2^53 and with a last zero, null, other planes. */
const tricky =
  '{"id":9007199254740993,"größe":1.0,"a.b":{"c":[1,2.50]},"a":{"b":[{"c":"x"},{"d":null}],"e":"🙂é"},' +
  '"tags":["r",["s"]],"none":null,"t":"2026-01-31T23:30:00Z"}';

const hash = (text: string): string => createHmac('sha256', 'key of the mask').update(text).digest('hex').slice(0, 32);

/** What stands in the document in the place of what; all else keeps its bytes. */
type Edit = readonly [before: string, after: string];

const edits: readonly [transform: object, ...edits: Edit[]][] = [
  [{ drop: 'a.b.c' }, ['"c":[1,2.50]', ''], ['"c":"x"', '']],
  [{ drop: 'tags.x' }],
  [{ drop: ['none', 'größe'] }, ['"größe":1.0,', ''], ['"none":null,', '']],
  [{ keep: ['a.b.c', 'größe'] }, [tricky, '{"größe":1.0,"a.b":{"c":[1,2.50]},"a":{"b":[{"c":"x"},{}]}}']],
  [{ keep: 'x.y' }, [tricky, '{}']],
  [{ rename: { field: 'a.b.c', to: 'z' } }, ['"c":[', '"z":['], ['"c":"x"', '"z":"x"']],
  [{ rename: { field: 'größe', to: '🙂' } }, ['größe', '🙂']],
  [{ rename: { field: 'x', to: 'id' } }],
  [{ mask: { field: 'a.b', with: 'fixed' } }, ['[1,2.50]', '["***","***"]'], ['"x"', '"***"']],
  [{ mask: { field: 'id', with: 'partial' } }, ['9007199254740993', '"************0993"']],
  [{ mask: { field: 'a.e', with: 'partial', keep: 1 } }, ['🙂é', '*é']],
  [{ mask: { field: 'tags,none,x', with: 'hash' } }, ['"r"', `"${hash('r')}"`], ['"s"', `"${hash('s')}"`]],
  [{ set: { field: 'a.b.z', value: 'ü' } }, ['2.50]', '2.50],"z":"ü"'], ['"x"', '"x","z":"ü"'], ['"d":null', '"d":null,"z":"ü"']],
  [{ set: { field: 'x.y', json: '[9007199254740993]' } }, ['00Z"', '00Z","x":{"y":[9007199254740993]}']],
  [{ set: { field: 'id', json: '1.0' } }, ['9007199254740993', '1.0']],
];

const impossible: readonly object[] = [
  { set: { field: 't.x', value: '1' } },
  { rename: { field: 'a.b', to: 'e' } },
  { 'rename-index': { from: 'a', to: 'b-', date: { field: 'a.e', format: 'yyyy' } } },
];

const subjects: readonly [transform: object, subject: string][] = [
  [{ 'set-tenant': 'ü.x' }, 'es.ü%2Ex.a.index'],
  [{ 'rename-index': { from: '*', to: '$1.b' } }, 'es.t.a%2Eb.index'],
  [{ 'rename-index': { from: 'a', to: 'b-', date: { field: 't', format: 'yyyy.MM' } } }, 'es.t.b-2026%2E01.index'],
];

const conditions: readonly [where: object, passes: boolean][] = [
  [{ exists: 'a.b.c' }, true],
  [{ exists: 'a.b.d' }, false],
  [{ exists: 'none' }, false],
  [{ exists: 'a.b' }, true],
  [{ equals: { field: 'id', value: '9007199254740993' } }, true],
  [{ equals: { field: 'id', value: '9007199254740992' } }, false],
  [{ equals: { field: 'a.b.c', value: 'x' } }, true],
  [{ in: { field: 'a.b.c', values: ['2.5', 'y'] } }, true],
  [{ in: { field: 'tags', values: ['s'] } }, true],
  [{ range: { field: 'größe', gte: '1', lte: '1' } }, true],
  [{ range: { field: 't', gte: '2026-01', lt: '2026-02' } }, true],
  [{ range: { field: 'id', gt: '9007199254740992' } }, true],
  [{ prefix: { field: 'a.e', value: '🙂' } }, true],
  [{ prefix: { field: 'x.y', value: '' } }, false],
  [{ not: { exists: 'x' } }, true],
  [{ and: [{ exists: 'none' }, { exists: 'id' }] }, false],
  [{ or: [{ exists: 'none' }, { exists: 'id' }] }, true],
];

describe('a tricky document', () => {
  for (const [transform, ...places] of edits) {
    it(JSON.stringify(transform), () => {
      const expected = places.reduce((text, [before, after]) => text.replace(before, after), tricky);
      assert.equal(transformed([transform], tricky), expected);
    });
  }
  for (const transform of impossible)
    it(`cannot have ${JSON.stringify(transform)}`, () => assert.equal(transformed([transform], tricky), 'TRANSFORM_IMPOSSIBLE'));
  for (const [transform, subject] of subjects)
    it(JSON.stringify(transform), () => assert.equal(transformed([transform], tricky), `${subject} ${tricky}`));
  for (const [where, passes] of conditions) {
    it(`${passes ? 'passes' : 'does not pass'} ${JSON.stringify(where)}`, () => {
      const [out] = outcome(rulesOf({ 'field-filters': [{ where }] }), change('a', 1, { source: Buffer.from(tricky) }));
      assert.equal(out, passes ? `main es.t.a.index ${tricky}` : 'main es.t.a.delete');
    });
  }
});
