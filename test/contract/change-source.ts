import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { ChangeBatch, ChangeSource } from '../../src/core/strategy.ts';

/** A place where documents can be changed, and sources that follow it from one checkpoint. */
export type ChangeBench = {
  index: string;
  write(id: string, source: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** A source that goes on from where the one before it was left; only one is open at a time. */
  open(): Promise<ChangeSource>;
  close(): Promise<void>;
};

type Told = { id: string; op: string; version: number; text: string | undefined };

/** Takes batches until `enough`, settling each as `settle` says, then stops the source. */
async function follow(
  source: ChangeSource,
  enough: (told: Told[]) => boolean,
  settle: (batch: ChangeBatch, at: number) => void,
): Promise<Told[]> {
  const told: Told[] = [];
  let at = 0;
  for await (const batch of source) {
    const events = [...batch.events];
    const versions = events.map((event) => event.version);
    assert.deepEqual(
      versions,
      [...versions].sort((a, b) => a - b),
      'a batch is in order',
    );
    assert.equal(new Set(events.map((event) => event.index)).size, 1, 'a batch is of one index');
    for (const { id, op, version, source: bytes } of events) {
      told.push({ id, op, version, text: bytes === undefined ? undefined : Buffer.from(bytes).toString() });
    }
    settle(batch, at++);
    if (enough(told)) break;
  }
  await source.stop();
  return told;
}

/** What a target would hold: of each document, the highest version. */
function stateOf(told: readonly Told[]): Record<string, string> {
  const newest = new Map<string, Told>();
  for (const one of told) if ((newest.get(one.id)?.version ?? -1) < one.version) newest.set(one.id, one);
  return Object.fromEntries([...newest.values()].filter(({ op }) => op !== 'delete').map(({ id, text }) => [id, text!]));
}

const store = (batch: ChangeBatch): void => batch.stored(1);

/** What every ChangeSource promises. */
export function changeSourceContract(name: string, start: () => Promise<ChangeBench>): void {
  describe(`ChangeSource: ${name}`, () => {
    const benches: ChangeBench[] = [];
    const bench = async (): Promise<ChangeBench> => {
      const made = await start();
      benches.push(made);
      return made;
    };
    after(async () => {
      for (const made of benches) await made.close();
    });

    it('tells every document as it is, byte for byte', async () => {
      const place = await bench();
      await place.write('a', '{"n":1.0,"big":12345678901234567890.5}');
      await place.write('b/%"', '{ "source" : {"x":[1e3]} }');
      const told = await follow(await place.open(), (all) => all.length >= 2, store);
      assert.deepEqual(stateOf(told), { a: '{"n":1.0,"big":12345678901234567890.5}', 'b/%"': '{ "source" : {"x":[1e3]} }' });
    });

    it('tells updates with rising versions, and deletes', async () => {
      const place = await bench();
      for (const id of ['a', 'b', 'c']) await place.write(id, '{"v":1}');
      let source = await place.open();
      const first = await follow(source, (all) => all.length >= 3, store);
      await place.write('a', '{"v":2}');
      await place.remove('b');
      source = await place.open();
      const second = await follow(
        source,
        (all) => all.some(({ op }) => op === 'delete') && all.some(({ id }) => id === 'a'),
        store,
      );
      assert.deepEqual(stateOf([...first, ...second]), { a: '{"v":2}', c: '{"v":1}' });
      const update = second.find(({ id }) => id === 'a');
      assert.ok(update !== undefined && update.version > first.find(({ id }) => id === 'a')!.version);
    });

    it('tells again what could not be stored', async () => {
      const place = await bench();
      await place.write('a', '{"v":1}');
      const told = await follow(
        await place.open(),
        (all) => all.length >= 2,
        (batch, at) => (at === 0 ? batch.failed(new Error('not this time')) : batch.stored(1)),
      );
      assert.deepEqual(
        told.map(({ id }) => id),
        ['a', 'a'],
      );
      assert.equal(told[0]?.version, told[1]?.version);
    });

    it('tells a delete of what was told and never stored', async () => {
      const place = await bench();
      await place.write('a', '{"v":1}');
      await place.write('b', '{"v":1}');
      const lost = await follow(
        await place.open(),
        (all) => all.length >= 2,
        (batch) => batch.failed(new Error('the stream is gone')),
      );
      await place.remove('a');
      const found = await follow(await place.open(), (all) => all.some(({ op, id }) => op === 'delete' && id === 'a'), store);
      assert.deepEqual(stateOf([...lost, ...found]), { b: '{"v":1}' });
    });
  });
}
