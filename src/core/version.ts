/**
 * External versions. An operation at `seqNo` of an index incarnation born at `epoch` (ms since 1970) has
 * `epoch * 2048 + 2 * seqNo`; a delete found at checkpoint G lies half a step above anything at or below G.
 * So versions rise with every operation on a document, a later incarnation beats an earlier one, and no state is needed.
 */
const perMillisecond = 2048;

export function writeVersion(epoch: number, seqNo: number): number {
  return epoch * perMillisecond + 2 * seqNo;
}

/** For a document found missing when everything up to `checkpoint` was visible. */
export function deleteVersion(epoch: number, checkpoint: number): number {
  return epoch * perMillisecond + 2 * checkpoint + 1;
}

/** For a document that an earlier incarnation had and this one lacks: above all of the old, below all of the new. */
export function succeededVersion(epoch: number): number {
  return epoch * perMillisecond - 1;
}

/** The lowest epoch whose versions all lie above `version`. */
export function epochAbove(version: number): number {
  return Math.floor(version / perMillisecond) + 1;
}
