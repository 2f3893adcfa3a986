import type { Reader, IndexDirectory } from '../elastic/index.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { RefreshMode } from './followed-index.ts';

export type ClusterSourceSettings = {
  tenant: string;
  pollIntervalMs: number;
  discoveryIntervalMs: number;
  refresh: RefreshMode;
  pageDocumentsMax: number;
  pageBytesMax: number;
  shardsParallel: number;
  pagesMax: number;
  propagateIndexDeletes: boolean;
};

export type ClusterSourceEvents = {
  /** What concerns one index or shard and passes by without a person, or not; never ends the source. */
  onTrouble?(about: string, error: unknown): void;
  onRecovered?(about: string): void;
  onNotice?(message: string, fields: Record<string, unknown>): void;
  onIncarnation?(index: string, reason: string): void;
  onPoll?(tookMs: number): void;
  onRefresh?(index: string, tookMs: number): void;
  onPage?(index: string, documents: number, bytes: number): void;
  onLooked?(index: string, deletes: number, tookMs: number): void;
  onUnknown?(index: string, shard: number, documents: number): void;
};

export type ClusterSourceParts = {
  reader: Reader;
  directory: IndexDirectory;
  checkpoint: Checkpoint;
  now: () => number;
  noteStored(sequence: number): void;
  /** The stream sequence up to which every consumer has acknowledged. */
  acknowledgedThrough(): Promise<number>;
};
