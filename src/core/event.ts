/** What happened to a document at the source. `index` is a first version, `update` a later one. */
export type DocumentOperation = 'index' | 'update' | 'delete';

export const documentOperations: readonly DocumentOperation[] = ['index', 'update', 'delete'];

/** Where a document lies that is too large for a message: an object in a JetStream object store. */
export type SourceReference = {
  bucket: string;
  name: string;
  /** Length of the document in bytes. */
  bytes: number;
};

/** One operation on one document of the source cluster. */
export type ChangeEvent = {
  tenant: string;
  /** The concrete index at the source, never an alias or data stream. */
  index: string;
  id: string;
  op: DocumentOperation;
  /** External version for the target: see core/version.ts. A safe integer. */
  version: number;
  /** Sequence number of the operation in its shard; for a delete, the checkpoint at which it was found. */
  seqNo: number;
  primaryTerm: number;
  /** When the change was read, in ms since 1970. */
  ts: number;
  routing?: string;
  /** The document's own bytes as the source returned them, on one line. Absent for a delete or with `sourceRef`. */
  source?: Uint8Array;
  sourceRef?: SourceReference;
  /** Keys of the envelope that this version does not know: passed through, raw JSON text of `"key":value` pairs joined by `,`. */
  extra?: string;
};

/** The end of a whole index at the source. */
export type IndexDrop = {
  tenant: string;
  index: string;
  /** Above every version of its documents. */ version: number;
  ts: number;
};
