import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../../scripts/servers.ts';
import { encodeEnvelope } from '../../src/core/envelope.ts';
import { change } from '../support/gateway-stage.ts';
import { blocksOf, commandsOf } from '../support/guide.ts';

const bin = (program: string): string => resolve(import.meta.dirname, '../../bin', program);

/** What test/e2e/gateway-modes.test.ts does with real servers for the modes, here for every command: their flags are known and fit together. */
describe('the commands of docs/deployment-modes.md', () => {
  const own = commandsOf('deployment-modes.md').filter(({ program }) => program !== 'nats-server');
  it('are there', () => assert.equal(own.length, 11));
  for (const { program, args } of own) {
    it(`${program} ${args.join(' ')}`, () => {
      const { status, stderr } = spawnSync(bin(program), [...args, '--print-config'], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    });
  }
});

describe('docs/filters-and-transforms.md', () => {
  const file = join(temporaryDirectory('guide'), 'gateway.yaml');
  writeFileSync(file, blocksOf('filters-and-transforms.md', 'yaml').join('\n'));
  const dryRun = (source: string, index = 'orders-eu') => {
    const envelope = encodeEnvelope(change(index, 1, { tenant: 'acme', source: Buffer.from(source) }));
    const { stdout, stderr } = spawnSync(bin('nats-gateway'), ['test', '--config', file], {
      input: envelope,
      env: { ...process.env, MASK_KEY: 'key' },
      encoding: 'utf8',
    });
    assert.equal(stderr, '');
    return stdout.trimEnd().split('\n');
  };
  it('has settings that hold together, and do what the page says', () => {
    const order =
      '{"id":9007199254740993,"secret":1,"customer":{"region":"eu","name":"x","ssn":"1"},"lines":[{"sku":"a","n":1.0}],"total":100}';
    const [europe, main, ...more] = dryRun(order);
    assert.deepEqual(more, []);
    assert.match(europe!, /"result":"transformed","output":"europe","subject":"es\.europe\.eu-orders-eu\.index"/);
    const kept = '{"id":9007199254740993,"customer":{"region":"eu"},"lines":[{"sku":"a"}],"origin":"gateway","level":5}';
    assert.ok(europe!.endsWith(`"source":${kept}}}`), String(europe));
    assert.match(main!, /"result":"deleted","why":"routes","output":"main"/);
  });
  it('keeps back what it says', () => {
    assert.match(dryRun('{"customer":{"region":"us"}}')[0]!, /"result":"deleted","why":"field-filters"/);
    assert.match(dryRun('{}', 'logs-a')[0]!, /"result":"filtered","why":"include-indices"/);
    assert.match(dryRun('{}', 'orders-debug')[0]!, /"result":"filtered","why":"(exclude-patterns|include-subjects)"/);
  });
});
