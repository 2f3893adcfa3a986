/** The fixed texts of an envelope in our own form, in their order: what writer and reader have in common (docs/envelope.md). */
export const envelopeVersion = 1;

/** What all envelopes of one frame begin with, up to the id. */
export function envelopePrefix(tenant: string, index: string): string {
  return `{"v":${envelopeVersion},"tenant":${JSON.stringify(tenant)},"index":${JSON.stringify(index)},"id":`;
}

export function asBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** From the end of the id's text to the version. */
export function beforeVersion(op: string): string {
  return `,"op":"${op}","version":`;
}

export const beforeSeqNo = asBytes(',"seq_no":');
export const beforePrimaryTerm = asBytes(',"primary_term":');
export const beforeTs = asBytes(',"ts":');
export const beforeRouting = asBytes(',"routing":');
export const beforeSource = asBytes(',"source":');
