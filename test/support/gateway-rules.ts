import assert from 'node:assert/strict';
import type { ChangeEvent } from '../../src/core/event.ts';
import { GatewayError } from '../../src/core/errors.ts';
import { encodeSubject } from '../../src/core/subject.ts';
import { gatewaySettings, type GatewaySettings } from '../../src/nats-gateway/config.ts';
import { applyPlan, Rules } from '../../src/nats-gateway/rules.ts';
import { resolve } from '../../src/service/resolve.ts';
import { change } from './gateway-stage.ts';

/** Rules as a settings file would have them, by key. */
export type RuleKeys = Readonly<Record<string, unknown>>;

export function settingsOf(keys: RuleKeys): GatewaySettings {
  const environment = Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [
      key.replaceAll('-', '_').toUpperCase(),
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
  return resolve(gatewaySettings, { flags: new Map(), environment, file: undefined }).values;
}

export function rulesOf(keys: RuleKeys): Rules {
  return new Rules(settingsOf(keys));
}

/** What comes out of a change: `output subject text`, without the text for a delete; the code of what cannot be done. */
export function outcome(rules: Rules, event: ChangeEvent): string[] {
  const plan = rules.plan(encodeSubject({ tenant: event.tenant, index: event.index, operation: event.op }));
  if (plan.filteredBy !== undefined) return [`filtered by ${plan.filteredBy}`];
  return applyPlan(plan, event, rules.filterDeletes).results.map(({ lane, ...result }) => {
    if ('error' in result)
      return `${lane.output} ${result.error instanceof GatewayError ? result.error.code : String(result.error)}`;
    const { tenant, index, op, source, version } = result.event;
    assert.equal(version, event.version);
    return `${lane.output} ${encodeSubject({ tenant, index, operation: op })}${source === undefined ? '' : ` ${Buffer.from(source).toString()}`}`;
  });
}

/** A document through transforms alone. */
export function transformed(transforms: readonly unknown[], document: string, keys: RuleKeys = {}): string {
  const [only] = outcome(
    rulesOf({ transforms, 'mask-key': 'key of the mask', ...keys }),
    change('a', 1, { source: Buffer.from(document) }),
  );
  return only!.replace('main es.t.a.index ', '').replace('main ', '');
}
