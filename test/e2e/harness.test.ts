import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Cluster } from '../support/cluster.ts';
import { compare, isExact } from '../support/compare.ts';
import { documentText } from '../support/documents.ts';
import { segment } from '../support/ids.ts';
import { bytesAt, member } from '../support/json-text.ts';
import { readDocuments } from '../support/read-documents.ts';
import { preparePlans, removePlans, standardPlans } from '../support/plans.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { sharedOpenSearch } from '../support/servers.ts';
import { Workload } from '../support/workload.ts';

/** The judge is judged first: what it would miss, every test that relies on it would miss. */
const seed = seedOfRun('harness');
const prefix = `h${seed}`;
let cluster: Cluster;

before(async () => {
  cluster = new Cluster((await sharedOpenSearch('2.19')).url);
});

function draw(random: Random): number[] {
  return Array.from({ length: 50 }, () => random.next());
}

/** `_reindex` from remote would parse and print the documents. */
async function copy(from: Cluster, to: Cluster, index: string): Promise<void> {
  for await (const page of readDocuments(from, index)) {
    const lines = page.map(
      ({ id, source }) => `${JSON.stringify({ index: { _index: index, _id: id } })}\n${source.toString('utf8')}\n`,
    );
    const answer = (await to.json('POST', '/_bulk?refresh=true', lines.join(''))) as { errors: boolean };
    assert.equal(answer.errors, false);
  }
}

test('the same seed gives the same numbers, and a fork does not disturb them', () => {
  const [one, other] = [new Random(seed), new Random(seed)];
  draw(other.fork('x'));
  assert.deepEqual(draw(one), draw(other));
  assert.notDeepEqual(draw(new Random(seed).fork('x')), draw(new Random(seed).fork('y')));
});

test('made documents are JSON, and the scanner finds the text of each of their members', () => {
  const random = new Random(seed);
  for (let i = 0; i < 2_000; i++) {
    const text = documentText(random, { pretty: i % 2 === 0, nested: i % 3 === 0, unprintable: i % 5 === 0 });
    // V8 14.6 takes the key `"\\""` for `"\\\\"` where an object parsed before had that one in its place.
    if (text.includes(String.raw`"\""`)) continue;
    const bytes = Buffer.from(text).toString('latin1');
    for (const [key, value] of Object.entries(JSON.parse(text) as object)) {
      assert.deepEqual(JSON.parse(bytesAt(bytes, member(bytes, 0, key)).toString('utf8')), value, text);
    }
  }
});

test('the comparison passes a copy and finds every planted difference in it', async (t) => {
  const plans = standardPlans(prefix, { streams: false }).filter((plan) => plan.kind === 'index');
  await preparePlans(cluster, cluster, plans);
  t.after(() => removePlans(cluster, plans));
  const workload = new Workload({ cluster, random: new Random(seed), plans, clients: 4, operations: 2_500 });
  const tally = await workload.run();
  assert.equal(tally.refusals.size, 0, [...tally.refusals.keys()].join('\n'));
  assert.ok(tally.deletes > 100 && tally.operations >= 2_500, String(tally));

  const index = `${prefix}-odd`;
  const pattern = index;
  await cluster.refresh(index);
  const other = new Cluster((await sharedOpenSearch('3.8')).url);
  await other.json('PUT', `/${index}`, { mappings: { dynamic: false } });
  t.after(async () => {
    await other.json('DELETE', `/${index}`);
    await Promise.all([other.close(), cluster.close()]);
  });
  await copy(cluster, other, index);
  const copied = await compare(cluster, other, { pattern });
  assert.ok(copied.documents > 100 && isExact(copied), JSON.stringify(copied));

  const expect = async (planted: string, wanted: { missing?: number; extra?: number; different?: number }): Promise<void> => {
    const { missing, extra, different } = await compare(cluster, other, { pattern });
    assert.deepEqual({ missing, extra, different }, { missing: 0, extra: 0, different: 0, ...wanted }, planted);
  };
  const id = segment('a/b "%');
  const put = (where: Cluster, text: string, routing = ''): Promise<unknown> =>
    where.json('PUT', `/${index}/_doc/${id}?refresh=true${routing}`, text);
  await put(cluster, '{"a":[1.0,{"b":"x"}]}');
  await expect('a document that one side lacks', { missing: 1 });
  await put(other, '{"a":[1.0,{"b":"x"}]}');
  await expect('the same', {});
  for (const text of [
    '{"a":[1,{"b":"x"}]}',
    '{"a":[1.0,{"b":"X"}]}',
    '{"a":[1.0,{"b":"x"} ]}',
    '{"a":[1.0,{"b":"\\u0078"}]}',
    '{"a":[1.00,{"b":"x"}]}',
  ]) {
    await put(other, text);
    await expect(`${text} instead`, { different: 1 });
  }
  await put(cluster, '{"a":\n1}');
  await put(other, '{"a": 1}');
  await expect('a line end, which may become a space', {});
  await put(other, '{"a":1}');
  await expect('a line end that is lost', { different: 1 });
  await other.json('DELETE', `/${index}/_doc/${id}?refresh=true`);
  await put(other, '{"a": 1}', '&routing=x');
  await expect('another routing', { missing: 1, extra: 1 });
  await cluster.json('DELETE', `/${index}/_doc/${id}?refresh=true`);
  await expect('a document too many', { extra: 1 });
  await other.json('DELETE', `/${index}/_doc/${id}?refresh=true&routing=x`);
  await expect('the same again', {});
});
