import { crc32 } from 'node:zlib';
import { BufferPool } from '../core/buffer-pool.ts';
import { describeError, GatewayError, isTransient } from '../core/errors.ts';
import { decodeEnvelopes } from '../core/envelope.ts';
import type { ChangeEvent, SourceReference } from '../core/event.ts';
import { documentsOf, frameHeaders, type FrameLimits, openPayload, packFrames, sealPooled } from '../core/frame.ts';
import { freeMemory } from '../core/free-memory.ts';
import type { Message, OutgoingMessage, Refusal } from '../core/strategy.ts';
import type { SubjectOperation } from '../core/subject.ts';
import type { Documents, DocumentReader } from '../jetstream/index.ts';
import { applyPlan, type Plan, type Rules } from './rules.ts';

/** Where messages of a lane go, as far as it matters for making them. */
export type Outlet = {
  /** The server's limit of a message, headers included. */
  readonly maxPayload: number;
  subjectOf(of: { tenant: string; index: string; operation: SubjectOperation }): string;
  /** The subject of a message that passes unchanged. */
  subjectFor(subject: string): string;
  documents(): Promise<Documents>;
};

/** A message for one output, with the document that it refers to. */
export type Outgoing = { output: string; message: OutgoingMessage; reference?: SourceReference };

/** What is done about a message: it goes out in this form, or one of its changes cannot. */
export type GatewayItem =
  | { is: 'forward'; message: Message; outgoing: readonly Outgoing[] }
  | { is: 'refused'; event: ChangeEvent; refusal: Refusal };

/** How many changes of a message had which fate; `passed` ones may be transformed too. */
export type Fates = { passed: number; filtered: number; transformed: number; failed: number };
const noFates: Fates = { passed: 0, filtered: 0, transformed: 0, failed: 0 };

export type RewriterParts = {
  rules(): Rules;
  outlet(output: string): Outlet;
  /** Documents by reference, upstream. */
  documents: DocumentReader;
  /** Stands in message ids where the publisher gave none. */
  stream: string;
  onFates?(plan: Plan, fates: Fates, how: 'bytes' | 'decoded' | 'filtered'): void;
};

/** Changes that leave by one output on one subject. */
type Leaving = { output: string; events: ChangeEvent[] };

/** Left free in a message for its headers. */
const headerRoomBytes = 4096;
const compressFromBytes = 4096;
/** Messages are packed one at a time, each of which may have parts for several outputs. */
const idleBuffersMax = 2;
const idleBytesMax = 2 ** 21;
const limits: FrameLimits = { documentsMax: Infinity, bytesMax: Infinity, compressFromBytes, compressLevel: 1 };
const messageId = 'Nats-Msg-Id';
/** What the publisher wanted of the stream upstream: expectations, rollups, expiry. */
const forTheServer = /^Nats-/i;

/** Makes of each message from upstream what goes downstream. */
export class Rewriter {
  readonly #parts: RewriterParts;
  readonly #memory = new BufferPool(idleBuffersMax, idleBytesMax);

  constructor(parts: RewriterParts) {
    this.#parts = parts;
  }

  /** Throws for a message that is none of ours (SUBJECT_*, FRAME_FOREIGN, ENVELOPE_*), and transiently where a large document cannot be copied now. */
  async open(message: Message): Promise<GatewayItem[]> {
    const rules = this.#parts.rules();
    const plan = rules.plan(message.subject);
    const documents = documentsOf(message);
    if (plan.filteredBy !== undefined) {
      this.#parts.onFates?.(plan, { ...noFates, filtered: documents ?? 0 }, 'filtered');
      return [];
    }
    if (documents !== undefined && plan.bySubject && plan.lanes.every(({ output }) => this.#fits(message, output))) {
      this.#parts.onFates?.(plan, { ...noFates, passed: documents }, 'bytes');
      return [{ is: 'forward', message, outgoing: plan.lanes.map(({ output }) => this.#unchanged(message, output)) }];
    }
    const opened = await openPayload(message);
    const items = await this.#decoded(message, plan, decodeEnvelopes(opened), rules.filterDeletes);
    // What is refused still lies in it.
    if (opened !== message.payload && items.every(({ is }) => is === 'forward')) freeMemory(opened);
    return items;
  }

  /** Whether the message can go out by that output as it is. */
  #fits(message: Message, output: string): boolean {
    let bytes = message.payload.length;
    for (const [name, value] of message.headers) bytes += name.length + Buffer.byteLength(value);
    return bytes + headerRoomBytes <= this.#parts.outlet(output).maxPayload;
  }

  /** The message with its headers, but for those that speak to the server. */
  #unchanged(message: Message, output: string): Outgoing {
    const headers = new Map([...message.headers].filter(([name]) => !forTheServer.test(name)));
    const subject = this.#parts.outlet(output).subjectFor(message.subject);
    return { output, message: { subject, payload: message.payload, id: this.#id(message, output), headers } };
  }

  /** The publisher's own id for the main output. Others have one of their own: two outputs may be one stream. */
  #id(message: Message, output: string): string {
    const id = message.headers.get(messageId) ?? `${this.#parts.stream}.${message.sequence}.${message.timestamp}`;
    return output === 'main' ? id : `${id}.${output}`;
  }

  async #decoded(message: Message, plan: Plan, events: readonly ChangeEvent[], filterDeletes: boolean): Promise<GatewayItem[]> {
    const fates: Fates = { ...noFates };
    const items: GatewayItem[] = [];
    const leaving: Leaving[] = [];
    for (const given of events) {
      try {
        const change = given.sourceRef === undefined ? given : await this.#withDocument(given);
        const { results, filtered, transformed } = applyPlan(plan, change, filterDeletes);
        let failed: unknown;
        for (const { lane, ...result } of results) {
          if ('error' in result) failed = result.error;
          else add(leaving, lane.output, result.event);
        }
        if (failed !== undefined) items.push({ is: 'refused', event: change, refusal: refusalOf(failed) });
        fates[failed !== undefined ? 'failed' : filtered ? 'filtered' : transformed ? 'transformed' : 'passed']++;
      } catch (error) {
        if (isTransient(error)) throw error;
        fates.failed++;
        items.push({ is: 'refused', event: given, refusal: refusalOf(error) });
      }
    }
    const outgoing: Outgoing[] = [];
    for (const { output, events: together } of leaving) {
      const whole = together.length === events.length && together.every((event, at) => event === events[at]);
      if (whole && this.#fits(message, output)) outgoing.push(this.#unchanged(message, output));
      else outgoing.push(...(await this.#packed(message, output, together)));
    }
    this.#parts.onFates?.(plan, fates, 'decoded');
    if (outgoing.length > 0) items.push({ is: 'forward', message, outgoing });
    return items;
  }

  async #withDocument({ sourceRef, ...rest }: ChangeEvent): Promise<ChangeEvent> {
    return { ...rest, source: await this.#parts.documents.get(sourceRef!) };
  }

  /** Messages with all of these changes, as few as the server's limit allows. */
  async #packed(message: Message, output: string, events: readonly ChangeEvent[]): Promise<Outgoing[]> {
    const [whole] = packFrames(events, limits, (bytes) => this.#memory.take(bytes));
    // The contents are part of the id: after a reload the same message may come out as another one.
    const contents = crc32(whole!.payload).toString(16);
    const frame = await sealPooled(whole!, limits, this.#memory);
    const outlet = this.#parts.outlet(output);
    const original = this.#id(message, output);
    if (original.length + frame.payload.length + headerRoomBytes <= outlet.maxPayload) {
      const { tenant, index, op: operation, sourceRef } = events[0]!;
      const subject = outlet.subjectOf({ tenant, index, operation });
      const id = `${original}.${contents}.${events.length}`;
      return [
        {
          output,
          message: { subject, payload: frame.payload, id, headers: frameHeaders(frame) },
          ...(sourceRef === undefined ? {} : { reference: sourceRef }),
        },
      ];
    }
    if (events.length > 1) {
      const half = Math.ceil(events.length / 2);
      return [
        ...(await this.#packed(message, output, events.slice(0, half))),
        ...(await this.#packed(message, output, events.slice(half))),
      ];
    }
    const { source, ...event } = events[0]!;
    if (source === undefined)
      throw new GatewayError('MESSAGE_TOO_LARGE', `a change without a document does not fit a message of ${output}`);
    const documents = await outlet.documents();
    const sourceRef = await documents.put(`${original}.${crc32(source).toString(16)}`, source);
    return this.#packed(message, output, [{ ...event, sourceRef }]);
  }
}

/** By output and what the subject says, in the order of the first change of each. There are few: looking at each is quicker than a key. */
function add(leaving: Leaving[], output: string, event: ChangeEvent): void {
  for (const group of leaving) {
    const [first] = group.events;
    if (group.output !== output || first?.op !== event.op || first.index !== event.index || first.tenant !== event.tenant)
      continue;
    group.events.push(event);
    return;
  }
  leaving.push({ output, events: [event] });
}

function refusalOf(error: unknown): Refusal {
  const type = error instanceof GatewayError ? error.code : 'TRANSFORM_FAILED';
  return { status: 0, type, reason: describeError(error) };
}
