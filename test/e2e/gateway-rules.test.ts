import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatewayProgram } from '../support/gateway-stage.ts';
import type { Program } from '../support/programs.ts';
import { Random, seedOfRun } from '../support/random.ts';
import { Rig } from '../support/rig.ts';
import { freshNats, sharedElasticsearch, sharedOpenSearch } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** Rules of the gateway as somebody at the target sees them. */
const seed = seedOfRun('gateway-rules');
const withinMs = 60_000;
let stages = 0;

type Stage = {
  rig: Rig;
  gateway: Program;
  put: (index: string, id: string, document: string) => Promise<void>;
  /** Waits until the target's index holds exactly these documents, byte for byte. */
  holds: (index: string, documents: Readonly<Record<string, string>>) => Promise<void>;
};

async function stage(
  t: { after(work: () => Promise<void>): void },
  rules: (prefix: string) => Readonly<Record<string, unknown>>,
  watcherFlags: readonly string[] = [],
): Promise<Stage> {
  const prefix = `gr${seed}${stages++}`;
  const nats = await freshNats();
  const rig = new Rig({
    random: new Random(`${seed}/${prefix}`),
    prefix,
    source: (await sharedElasticsearch('8.19')).url,
    target: (await sharedOpenSearch('2.19')).url,
    nats: nats.url,
    watcherFlags: ['--stream=ES_CHANGES', ...watcherFlags],
    writerFlags: ['--stream=ES_CHANGES', '--dlq-stream=ES_DLQ'],
  });
  const flags = Object.entries(rules(prefix)).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  const gateway = gatewayProgram({ 'upstream-url': nats.url, ...(Object.fromEntries(flags) as Record<string, string>) });
  t.after(async () => {
    await rig.stop();
    await gateway.stop();
    for (const cluster of [rig.source, rig.target])
      for (const { index } of await cluster.indices(`*${prefix}*`)) await cluster.json('DELETE', `/${index}`);
    await Promise.all([rig.close(), nats.stop()]);
  });
  await gateway.startReady();
  await rig.start();
  const put = async (index: string, id: string, document: string): Promise<void> => {
    await rig.source.json('PUT', `/${prefix}-${index}/_doc/${id}`, document);
  };
  const holds = async (index: string, documents: Readonly<Record<string, string>>): Promise<void> => {
    const wanted = Object.entries(documents);
    await until(
      `${wanted.length} documents in ${index}`,
      async () => {
        await rig.target.refresh(index);
        if ((await rig.target.count(index)) !== wanted.length) return false;
        for (const [id, document] of wanted) {
          const { body } = await rig.target.send('GET', `/${index}/_source/${id}`);
          if (body.toString() !== document) return false;
        }
        return true;
      },
      { withinMs },
    );
  };
  return { rig, gateway, put, holds };
}

const shared = [{ where: { equals: { field: 'share', value: 'true' } } }];

test('a document that stops matching a field filter leaves the target, and comes back when it matches again', async (t) => {
  const { rig, gateway, put, holds } = await stage(t, () => ({ 'field-filters': shared }));
  const index = `${rig.prefix}-a`;
  await put('a', '1', '{"share":true,"n":9007199254740993}');
  await put('a', '2', '{"share":false}');
  // A field of its own: the target maps fields by the first document that it sees, and writes of one moment may disagree about it.
  await put('a', '3', '{"share":true,"f":1.0}');
  await holds(index, { 1: '{"share":true,"n":9007199254740993}', 3: '{"share":true,"f":1.0}' });
  await put('a', '1', '{"share":false,"n":9007199254740993}');
  await holds(index, { 3: '{"share":true,"f":1.0}' });
  await put('a', '1', '{"share":true,"n":2.50}');
  await rig.source.json('DELETE', `/${index}/_doc/3`);
  await holds(index, { 1: '{"share":true,"n":2.50}' });
  assert.equal(await gateway.metric('dead_letters_total'), 0);
});

test('with filter-deletes: false it stays as it was', async (t) => {
  const { rig, put, holds } = await stage(t, () => ({ 'field-filters': shared, 'filter-deletes': 'false' }));
  await put('a', '1', '{"share":true}');
  await holds(`${rig.prefix}-a`, { 1: '{"share":true}' });
  await put('a', '1', '{"share":false}');
  await put('a', '2', '{"share":true}');
  await holds(`${rig.prefix}-a`, { 1: '{"share":true}', 2: '{"share":true}' });
});

const renaming = (prefix: string) => ({
  'exclude-patterns': `${prefix}-secret*`,
  transforms: [
    { 'rename-index': { from: `${prefix}-*`, to: `copy-${prefix}-$1` } },
    { mask: { field: 'card', with: 'partial' } },
  ],
});

test('an index that is deleted goes at the target under its new name, and its successor of the same name is not touched', async (t) => {
  const { rig, gateway, put, holds } = await stage(t, renaming, ['--propagate-index-deletes']);
  const copy = `copy-${rig.prefix}-a`;
  await put('a', '1', '{"card":"1234 5678","n":1.0}');
  await put('secret', '1', '{}');
  await holds(copy, { 1: '{"card":"*****5678","n":1.0}' });
  await rig.source.json('DELETE', `/${rig.prefix}-a`);
  await until('the index to be gone at the target', async () => (await rig.target.indices(`${copy}*`)).length === 0, {
    withinMs,
  });
  await put('a', '2', '{"n":2.0}');
  await holds(copy, { 2: '{"n":2.0}' });
  await until('everything to be acknowledged', async () => (await gateway.metric('lag_messages')) === 0, { withinMs });
  assert.deepEqual(await rig.target.indices(`*${rig.prefix}-secret*`), []);
  assert.deepEqual(gateway.complaints, []);
});
