import { createInterface } from 'node:readline';
import { describeError, GatewayError } from '../core/errors.ts';
import { decodeEnvelope, encodeEnvelope } from '../core/envelope.ts';
import { encodeSubject } from '../core/subject.ts';
import { readInvocation } from '../service/config.ts';
import { exitCodeOf, failureText } from '../service/failure.ts';
import { gatewaySettings } from './config.ts';
import { applyPlan, Rules } from './rules.ts';

/**
 * `nats-gateway test`: reads envelopes, one a line, and prints for each what would come out and why, by the rules of the settings. Nothing is
 * connected to. Answers the exit code: 1 when a line is no envelope or cannot be transformed.
 */
export async function runTest(
  argv: readonly string[],
  input: NodeJS.ReadableStream = process.stdin,
  output: NodeJS.WritableStream = process.stdout,
): Promise<number> {
  try {
    const invocation = await readInvocation(gatewaySettings, argv, process.env, '');
    if (invocation.is === 'text') {
      output.write(invocation.text);
      return 0;
    }
    const rules = new Rules(invocation.values);
    let failed = false;
    let number = 0;
    for await (const line of createInterface({ input })) {
      number++;
      if (line.trim() === '') continue;
      const results = explain(rules, line);
      failed ||= results.some((result) => 'error' in result);
      for (const result of results)
        output.write(`${JSON.stringify({ line: number, ...result }).slice(0, -1)}${envelopeOf(result)}}\n`);
    }
    return failed ? 1 : 0;
  } catch (error) {
    process.stderr.write(failureText('nats-gateway test', error));
    return exitCodeOf(error);
  }
}

type Explained = { result: string; why?: string; output?: string; subject?: string; error?: string };

/** The document as it is, which printing it as JSON again would not keep. */
const kept = new WeakMap<object, string>();

function envelopeOf(result: object): string {
  const text = kept.get(result);
  return text === undefined ? '' : `,"envelope":${text}`;
}

function explain(rules: Rules, line: string): Explained[] {
  try {
    const bytes = Buffer.from(line);
    const event = decodeEnvelope(bytes, 0, bytes.length);
    const plan = rules.plan(encodeSubject({ tenant: event.tenant, index: event.index, operation: event.op }));
    if (plan.filteredBy !== undefined) return [{ result: 'filtered', why: plan.filteredBy }];
    if (event.sourceRef !== undefined) return [{ result: 'unknown', why: 'the document is in an object store' }];
    const { results, filtered } = applyPlan(plan, event, rules.filterDeletes);
    if (results.length === 0) return [{ result: 'filtered', why: filtered ? 'field-filters' : 'routes' }];
    return results.map((result): Explained => {
      const output = result.lane.output;
      if ('error' in result) return { result: 'dead letter', output, why: reasonOf(result.error), error: codeOf(result.error) };
      const { event: out } = result;
      const deleted = out.op === 'delete' && event.op !== 'delete';
      const why = deleted ? (filtered ? 'field-filters' : 'routes') : undefined;
      const explained: Explained = {
        result: deleted ? 'deleted' : out === event ? 'passed' : 'transformed',
        ...(why === undefined ? {} : { why }),
        output,
        subject: encodeSubject({ tenant: out.tenant, index: out.index, operation: out.op }),
      };
      kept.set(explained, encodeEnvelope(out).toString().trimEnd());
      return explained;
    });
  } catch (error) {
    return [{ result: 'dead letter', why: reasonOf(error), error: codeOf(error) }];
  }
}

function codeOf(error: unknown): string {
  return error instanceof GatewayError ? error.code : 'UNREADABLE';
}

function reasonOf(error: unknown): string {
  return error instanceof GatewayError ? error.message : describeError(error);
}
