import { signCheckpoint } from '../../../src/record/checkpoint.ts';
import type { NoteSigner } from '../../../src/record/note.ts';
import { proveConsistency } from '../../../src/record/proof.ts';
import type { TreeHead } from '../../../src/record/tree.ts';
import { type CosignRequest, formatCosignRequest } from '../../../src/record/witness.ts';
import { leaves, plainReader, rootOf } from './plain-tree.ts';
import { LOG } from './signers.ts';

/** A history of any length: two with another `first` share nothing. */
export type History = {
  readonly headOf: (size: number) => TreeHead;
  /** What the log sends to a witness that saw `olderSize` entries last. */
  readonly request: (olderSize: number, size: number, log?: NoteSigner) => CosignRequest;
  /** The same, as the body of `add-checkpoint`. */
  readonly body: (olderSize: number, size: number, log?: NoteSigner) => Uint8Array;
};

/** A log of `sizeMax` entries at most, all of them different. */
export function historyOf(first = 0, sizeMax = 300): History {
  const all = leaves(sizeMax, first);
  const headOf = (size: number): TreeHead => ({ size, root: rootOf(all.slice(0, size)) });
  const request = (olderSize: number, size: number, log = LOG): CosignRequest => {
    const isPlain = olderSize === 0 || olderSize >= size;
    const proof = isPlain ? [] : proveConsistency(olderSize, size, plainReader(all));
    return { olderSize, proof, checkpoint: signCheckpoint(headOf(size), log) };
  };
  const body = (olderSize: number, size: number, log = LOG): Uint8Array =>
    formatCosignRequest(request(olderSize, size, log));
  return { headOf, request, body };
}
