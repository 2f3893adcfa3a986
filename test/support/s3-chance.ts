import type { Random } from './random.ts';
import { s3Trouble, type S3Call, type S3Fault } from './s3-faults.ts';

const faults: readonly S3Fault[] = [
  { is: 'lostReply' },
  { is: 'lostReply' },
  { is: 'reset' },
  { is: 'slow', delayMs: 300 },
  { is: 'damagedBody' },
  { is: 'cutAnswer' },
  s3Trouble.internalError,
  s3Trouble.slowDown,
  s3Trouble.expiredToken,
  s3Trouble.bucketMissing,
  s3Trouble.badDigest,
  s3Trouble.diskFull,
];

/** A plan by which some requests go wrong, each in a way of its own. */
export function faultsAtRandom(random: Random, probability: number): (call: S3Call) => S3Fault | undefined {
  return ({ operation }) => {
    if (!random.chance(probability)) return undefined;
    // Of a listing with a wrong bit nobody can tell; objects carry checksums.
    if (operation === 'GetObject' && random.chance(0.2)) return { is: 'damagedAnswer' };
    return random.pick(faults);
  };
}
