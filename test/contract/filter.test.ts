import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assert as check, property, subarray } from 'fast-check';
import { fieldFilter, filterChain, indexFilter, operationFilter, subjectFilter } from '../../src/core/filter.ts';
import type { Filter } from '../../src/core/strategy.ts';
import { anyEvent } from '../support/arbitrary-events.ts';

/** What every Filter promises. */
function filterContract(filter: Filter): void {
  describe(`Filter: ${filter.name}`, () => {
    it('says the same of the same event, and leaves it as it is', () => {
      check(
        property(anyEvent, (event) => {
          const before = structuredClone(event);
          const passes = filter.passes(event);
          assert.equal(filter.passes(event), passes);
          assert.deepEqual(structuredClone(event), before);
        }),
      );
    });

    it('needs no document where it says that the subject is enough', () => {
      if (filter.needs === 'event') return;
      check(
        property(anyEvent, (event) => {
          const { source, sourceRef, id, routing, ...subject } = event;
          assert.ok(id !== '' || source !== undefined || sourceRef !== undefined || routing !== undefined);
          assert.equal(filter.passes({ ...subject, id: 'another' }), filter.passes(event));
        }),
      );
    });
  });
}

const filters = [
  indexFilter(['*', '-logs*']),
  operationFilter(['index', 'update']),
  subjectFilter(['es.*.*.delete', 'es.acme.>']),
  fieldFilter({ or: [{ exists: 'a' }, { range: { field: 'n', gt: 5 } }] }),
];
for (const filter of filters) filterContract(filter);
filterContract(filterChain(filters));

it('a chain passes what all of its filters pass', () => {
  check(
    property(anyEvent, subarray(filters), (event, some) => {
      assert.equal(
        filterChain(some).passes(event),
        some.every((filter) => filter.passes(event)),
      );
    }),
  );
});
