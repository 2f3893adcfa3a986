import { BlockWriter, openBlock, type ArchiveMessage, type BlockOptions, type SealedBlock } from '../../src/archive/index.ts';
import { blockKey } from '../../src/archive/index.ts';

export const origin = { stream: 'ORDERS', streamCreated: '2025-11-20T08:00:00.000000001Z', job: 'job-1' };

export async function sealed(messages: readonly ArchiveMessage[], options: Partial<BlockOptions> = {}): Promise<SealedBlock> {
  const writer = new BlockWriter({ ...origin, ...options });
  for (const message of messages) await writer.add(message);
  return writer.seal();
}

export function keyOf(block: SealedBlock, prefix = ''): string {
  return blockKey({ ...block, prefix });
}

/** All messages of a whole block. */
export async function messagesIn(key: string, body: Buffer): Promise<ArchiveMessage[]> {
  const messages: ArchiveMessage[] = [];
  const { parts } = await openBlock(key, body);
  for await (const part of parts()) for (let at = 0; at < part.messages; at++) messages.push(part.message(at));
  return messages;
}

/** A message of a few bytes. */
export function message(sequence: number, subject = 'orders.new', text = `m${sequence}`): ArchiveMessage {
  const timestamp = Date.UTC(2025, 10, 21, 10) + sequence * 1_000;
  return { subject, sequence, timestamp, nanos: sequence % 1_000_000, headers: new Uint8Array(0), payload: Buffer.from(text) };
}
