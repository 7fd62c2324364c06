import { hash } from 'node:crypto';
import { concatBytes } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

/** Why something of the record was refused; one code for each reason. */
export class RecordError extends ZosError<
  | 'SIZE_INVALID'
  | 'ENTRY_TOO_LONG'
  | 'ENTRY_MALFORMED'
  | 'TILE_MISSING'
  | 'TILE_MALFORMED'
  | 'NOTE_TOO_LONG'
  | 'NOTE_MALFORMED'
  | 'KEY_MALFORMED'
  | 'SIGNATURE_INVALID'
  | 'CHECKPOINT_MALFORMED'
  | 'UNTRUSTED'
  | 'QUORUM_MISSING'
  | 'POLICY_MALFORMED'
  | 'PROOF_MALFORMED'
  | 'INCLUSION_INVALID'
  | 'CONSISTENCY_INVALID'
  | 'REQUEST_MALFORMED'
  | 'LOG_UNKNOWN'
  | 'HEAD_STALE'
  | 'HEAD_FORKED'
> {}

export const HASH_BYTES = 32;

/** More entries than any tree here may hold: the numbers of the record are exact integers. */
export const TREE_SIZE_MAX = Number.MAX_SAFE_INTEGER;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The root of a tree with nothing in it: SHA-256 of nothing (RFC 6962 section 2.1). */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array());

/** The hash of an entry: SHA-256(0x00 || entry) (RFC 6962 section 2.1). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(concatBytes(LEAF, entry));
}

/** The hash over two subtrees: SHA-256(0x01 || left || right) (RFC 6962 section 2.1). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concatBytes(NODE, left, right));
}

/** How many entries a tree has, and the hash over all of them. */
export type TreeHead = { readonly size: number; readonly root: Uint8Array };

/** Where every log begins. */
export const EMPTY_HEAD: TreeHead = { size: 0, root: EMPTY_ROOT };

/** Entries from `start` up to and without `end`. */
export type Range = { readonly start: number; readonly end: number };

/** The `index`-th full subtree of 2^height entries, counted from the tree's first entry. */
export type Subtree = { readonly height: number; readonly index: number };

/** Gives the hash of a full subtree. */
export type ReadSubtree = (subtree: Subtree) => Uint8Array;

/** Throws `RecordError` unless this is a number of entries. */
export function requireSize(size: number): void {
  if (Number.isSafeInteger(size) && size >= 0) return;
  throw new RecordError('SIZE_INVALID', `A tree has 0 to ${TREE_SIZE_MAX} entries, not ${size}.`);
}

/** The largest power of two that is smaller than `size`, for a size of 2 and more. */
export function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/**
 * The full subtrees that a range is made of, left to right, larger ones first. The range has to be
 * one that RFC 6962 hashes as a whole: its start is a multiple of each of them.
 */
export function subtreesOf({ start, end }: Range): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = start; at < end;) {
    let [height, width] = [0, 1];
    while (at + width * 2 <= end && at % (width * 2) === 0) {
      width *= 2;
      height += 1;
    }
    subtrees.push({ height, index: at / width });
    at += width;
  }
  return subtrees;
}

/** The hash over a range that `subtreesOf` takes: MTH(D[start:end]) (RFC 6962 section 2.1). */
export function hashOf(range: Range, read: ReadSubtree): Uint8Array {
  const hashes = subtreesOf(range).map((subtree) => read(subtree));
  const last = hashes.pop();
  if (last === undefined) return EMPTY_ROOT;
  return hashes.reduceRight((right, left) => nodeHash(left, right), last);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'));
}
