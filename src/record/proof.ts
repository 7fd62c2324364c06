import { isSameBytes } from '../lib/bytes.ts';
import {
  HASH_BYTES,
  hashOf,
  nodeHash,
  type Range,
  type ReadSubtree,
  RecordError,
  requireSize,
  splitOf,
  type TreeHead,
} from './tree.ts';

/** No proof of a tree that fits here is longer: 53 halvings, and one hash more for consistency. */
export const PROOF_HASHES_MAX = 54;

export type InclusionClaim = {
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly head: TreeHead;
  /** From the leaf's sibling up to a child of the root. */
  readonly proof: readonly Uint8Array[];
};

export type ConsistencyClaim = {
  readonly older: TreeHead;
  readonly newer: TreeHead;
  readonly proof: readonly Uint8Array[];
};

/** The ranges whose hashes prove the entry at `index`: PATH of RFC 6962 section 2.1.1. */
export function inclusionRanges(index: number, size: number): Range[] {
  requireSize(size);
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    throw new RecordError('SIZE_INVALID', `There is no entry ${index} among ${size}.`);
  }
  const ranges: Range[] = [];
  for (let [start, end] = [0, size]; end - start > 1;) {
    const split = start + splitOf(end - start);
    ranges.push(index < split ? { start: split, end } : { start, end: split });
    if (index < split) end = split;
    else start = split;
  }
  return ranges.toReversed();
}

/** The ranges whose hashes prove that a tree grew: PROOF of RFC 6962 section 2.1.2. */
export function consistencyRanges(olderSize: number, newerSize: number): Range[] {
  requireSize(olderSize);
  requireSize(newerSize);
  if (olderSize === 0 || olderSize > newerSize) {
    const sentence = `Nothing proves that ${olderSize} entries grew to ${newerSize}.`;
    throw new RecordError('SIZE_INVALID', sentence);
  }
  const ranges: Range[] = [];
  let [start, end] = [0, newerSize];
  while (end !== olderSize) {
    const split = start + splitOf(end - start);
    ranges.push(olderSize <= split ? { start: split, end } : { start, end: split });
    if (olderSize <= split) end = split;
    else start = split;
  }
  // The older tree's own root is known to whoever checks; a part of it is not.
  if (start > 0) ranges.push({ start, end });
  return ranges.toReversed();
}

/** The inclusion proof of the entry at `index` in a tree of `size`. */
export function proveInclusion(index: number, size: number, read: ReadSubtree): Uint8Array[] {
  return inclusionRanges(index, size).map((range) => hashOf(range, read));
}

/** The consistency proof between two sizes of one tree. */
export function proveConsistency(
  olderSize: number,
  newerSize: number,
  read: ReadSubtree,
): Uint8Array[] {
  return consistencyRanges(olderSize, newerSize).map((range) => hashOf(range, read));
}

/** Throws `RecordError` unless the leaf is in the tree at its index (RFC 9162 section 2.1.3.2). */
export function checkInclusion({ leafHash, index, head, proof }: InclusionClaim): void {
  const { size, root } = head;
  requireHashes([leafHash, root, ...proof], 'INCLUSION_INVALID');
  requireSize(size);
  const refuse = (why: string): never => {
    throw new RecordError('INCLUSION_INVALID', `The entry is not proven to be in the tree: ${why}`);
  };
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) {
    refuse('it would stand outside of it.');
  }
  let [first, last, hash] = [index, size - 1, leafHash];
  for (const sibling of proof) {
    if (last === 0) refuse('the proof is too long.');
    if (first % 2 === 1 || first === last) {
      hash = nodeHash(sibling, hash);
      [first, last] = upToRight(first, last);
    } else {
      hash = nodeHash(hash, sibling);
    }
    [first, last] = [half(first), half(last)];
  }
  if (last !== 0) refuse('the proof is too short.');
  if (!isSameBytes(hash, root)) refuse('its hashes lead to another root.');
}

/**
 * What a witness asks of a log, and everybody who saw an earlier head of it: that it told one
 * history and never took anything back. Throws `RecordError`: `HEAD_FORKED`, `HEAD_STALE` or
 * `CONSISTENCY_INVALID`.
 */
export function checkGrowth({ older, newer, proof }: ConsistencyClaim): void {
  const facts = { sizeSeen: older.size, size: newer.size };
  if (newer.size < older.size) {
    const sentence = `The log had ${older.size} entries and shows ${newer.size}; tell everybody.`;
    throw new RecordError('HEAD_STALE', sentence, { facts });
  }
  if (newer.size === older.size && !isSameBytes(newer.root, older.root)) {
    const sentence = `The log shows two histories of ${newer.size} entries; tell everybody.`;
    throw new RecordError('HEAD_FORKED', sentence, { facts });
  }
  if (older.size > 0) checkConsistency({ older, newer, proof });
  else if (proof.length > 0) refuseGrowth('the first head of a log needs no proof.');
}

/** Throws `RecordError` unless the newer tree grew out of the older (RFC 9162 section 2.1.4.2). */
export function checkConsistency({ older, newer, proof }: ConsistencyClaim): void {
  requireSize(older.size);
  requireSize(newer.size);
  if (older.size === 0) refuseGrowth('nothing grows out of no entries; ask for the first head.');
  if (older.size > newer.size) refuseGrowth('the newer tree is smaller.');
  if (older.size === newer.size) {
    if (proof.length > 0) refuseGrowth('two heads of one size need no proof.');
    if (!isSameBytes(older.root, newer.root)) refuseGrowth('one size has two roots.');
    return;
  }
  requireHashes([older.root, newer.root, ...proof], 'CONSISTENCY_INVALID');
  const roots = rootsOf(older, newer.size, proof);
  if (!isSameBytes(roots.older, older.root)) refuseGrowth('it leads to another older root.');
  if (!isSameBytes(roots.newer, newer.root)) refuseGrowth('it leads to another newer root.');
}

function rootsOf(
  { size, root }: TreeHead,
  newerSize: number,
  proof: readonly Uint8Array[],
): { readonly older: Uint8Array; readonly newer: Uint8Array } {
  // An older tree that is one full subtree is a node of the newer one: its root starts the way.
  const isFull = splitOf(size + 1) === size;
  const [seed, ...rest] = isFull ? [root, ...proof] : proof;
  if (seed === undefined) return refuseGrowth('the proof is empty.');
  let [first, last] = [size - 1, newerSize - 1];
  while (first % 2 === 1) [first, last] = [half(first), half(last)];
  let [older, newer] = [seed, seed];
  for (const sibling of rest) {
    if (last === 0) refuseGrowth('the proof is too long.');
    if (first % 2 === 1 || first === last) {
      older = nodeHash(sibling, older);
      newer = nodeHash(sibling, newer);
      [first, last] = upToRight(first, last);
    } else {
      newer = nodeHash(newer, sibling);
    }
    [first, last] = [half(first), half(last)];
  }
  if (last !== 0) refuseGrowth('the proof is too short.');
  return { older, newer };
}

function refuseGrowth(why: string): never {
  const sentence = `The newer tree is not proven to hold all of the older: ${why}`;
  throw new RecordError('CONSISTENCY_INVALID', sentence);
}

/** Past the levels where a node has no right sibling and stands for itself one level up. */
function upToRight(first: number, last: number): [number, number] {
  while (first % 2 === 0 && first !== 0) [first, last] = [half(first), half(last)];
  return [first, last];
}

function half(number: number): number {
  return Math.floor(number / 2);
}

function requireHashes(
  hashes: readonly Uint8Array[],
  code: 'INCLUSION_INVALID' | 'CONSISTENCY_INVALID',
): void {
  // A leaf's hash or an older root, and the root, come before the proof.
  if (hashes.length > PROOF_HASHES_MAX + 2) {
    throw new RecordError(code, `The proof has more than ${PROOF_HASHES_MAX} hashes.`);
  }
  if (hashes.every(({ length }) => length === HASH_BYTES)) return;
  throw new RecordError(code, `Every hash of a proof has ${HASH_BYTES} bytes.`);
}
