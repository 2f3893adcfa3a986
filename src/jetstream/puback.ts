/** The stream's answer to a publish (nats-server `JSPubAckResponse`). */
export type PubAck =
  | { is: 'stored'; stream: string; sequence: number; duplicate: boolean }
  | { is: 'refused'; code: number; apiCode: number; reason: string };

type Wire = {
  stream?: string;
  seq?: number;
  duplicate?: boolean;
  error?: { code?: number; err_code?: number; description?: string };
};

const zero = 0x30;
const nine = 0x39;
const space = 0x20;
const close = 0x7d;
const sequenceKey = '"seq":';

/**
 * Reads answers of one stream. The first plain answer is parsed as JSON and its text up to the sequence is remembered: the following
 * ones differ in their digits only. Anything else (a duplicate, an error, another stream) is parsed. Undefined: not such an answer.
 */
export function pubAckReader(): (answer: Uint8Array) => PubAck | undefined {
  let prefix = new Uint8Array(0);
  let stream = '';
  return (answer) => {
    const sequence = prefix.length === 0 ? -1 : plainSequence(answer, prefix);
    if (sequence > 0) return { is: 'stored', stream, sequence, duplicate: false };
    const text = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength).toString();
    const read = parse(text);
    const at = text.indexOf(sequenceKey);
    if (read?.is === 'stored' && !read.duplicate && at > 0 && /^ ?\d+\}$/.test(text.slice(at + sequenceKey.length))) {
      stream = read.stream;
      prefix = new Uint8Array(Buffer.from(text.slice(0, at + sequenceKey.length)));
    }
    return read;
  };
}

/** The sequence of an answer that is the prefix, digits and `}`, else -1. */
function plainSequence(answer: Uint8Array, prefix: Uint8Array): number {
  const end = answer.length - 1;
  // 15 digits are exact in a double; longer sequences take the slow way.
  if (end <= prefix.length || end - prefix.length > 15 || answer[end] !== close) return -1;
  // From the back: stream names that share a beginning differ late.
  for (let at = prefix.length - 1; at >= 0; at--) if (answer[at] !== prefix[at]) return -1;
  let sequence = 0;
  for (let at = answer[prefix.length] === space ? prefix.length + 1 : prefix.length; at < end; at++) {
    const digit = answer[at] ?? 0;
    if (digit < zero || digit > nine) return -1;
    sequence = sequence * 10 + (digit - zero);
  }
  return sequence;
}

function parse(text: string): PubAck | undefined {
  let wire: Wire;
  try {
    wire = JSON.parse(text) as Wire;
  } catch {
    return undefined;
  }
  if (wire.error !== undefined) {
    const { code = 500, err_code: apiCode = 0, description: reason = 'no reason given' } = wire.error;
    return { is: 'refused', code, apiCode, reason };
  }
  if (typeof wire.stream !== 'string' || typeof wire.seq !== 'number') return undefined;
  return { is: 'stored', stream: wire.stream, sequence: wire.seq, duplicate: wire.duplicate === true };
}
