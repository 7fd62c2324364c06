import { createHash } from 'node:crypto';

export const HASH_BYTES = 32;

/** A Merkle tree over a power of two of hashes, the leaves first, then each level above. */
export type Tree = readonly Uint8Array[];

/** Builds the tree over leaves that lie one after the other. */
export function treeOver(leaves: Uint8Array): Tree {
  const levels: Uint8Array[] = [leaves];
  for (let level = leaves; level.length > HASH_BYTES;) {
    const above = new Uint8Array(level.length / 2);
    for (let at = 0; at < above.length; at += HASH_BYTES) {
      above.set(parentOf(level.subarray(2 * at, 2 * at + 2 * HASH_BYTES)), at);
    }
    levels.push(above);
    level = above;
  }
  return levels;
}

/** The root of a tree. */
export function rootOf(tree: Tree): Uint8Array {
  return tree.at(-1) ?? new Uint8Array(HASH_BYTES);
}

type Wanted = {
  /** Leaves whose hashes are told. */
  readonly lead: readonly number[];
  /** All leaves that shall be proven, in order. */
  readonly all: readonly number[];
};

/** The hashes of the leaves of `lead`, and then what is needed to get from all to the root. */
export function openingOf(tree: Tree, { lead, all }: Wanted): Uint8Array {
  const parts = lead.map((index) => hashAt(tree[0], index));
  let indexes: readonly number[] = all;
  for (const level of tree.slice(0, -1)) {
    for (const index of siblingsOf(indexes)) parts.push(hashAt(level, index));
    indexes = parentsOf(indexes);
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** The root that leaves and an opening make; `undefined` when it is too short or too long. */
export function rootOfOpening(opening: {
  readonly count: number;
  /** Hashes of all wanted leaves. */
  readonly known: ReadonlyMap<number, Uint8Array>;
  readonly wanted: Wanted;
  readonly rest: Uint8Array;
}): Uint8Array | undefined {
  const { count, wanted, rest } = opening;
  let hashes = new Map(opening.known);
  let indexes: readonly number[] = wanted.all;
  let at = 0;
  for (let width = count; width > 1; width /= 2) {
    for (const index of siblingsOf(indexes)) {
      if (at + HASH_BYTES > rest.length) return undefined;
      hashes.set(index, rest.subarray(at, at + HASH_BYTES));
      at += HASH_BYTES;
    }
    const above = new Map<number, Uint8Array>();
    for (const parent of parentsOf(indexes)) {
      const [left, right] = [hashes.get(2 * parent), hashes.get(2 * parent + 1)];
      if (left === undefined || right === undefined) return undefined;
      above.set(parent, parentOf(Buffer.concat([left, right])));
    }
    hashes = above;
    indexes = parentsOf(indexes);
  }
  return at === rest.length ? hashes.get(0) : undefined;
}

function hashAt(level: Uint8Array | undefined, index: number): Uint8Array {
  return level?.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES) ?? new Uint8Array();
}

/** What stands beside these and is not among them. */
function siblingsOf(indexes: readonly number[]): number[] {
  const here = new Set(indexes);
  return indexes
    .map((index) => (index % 2 === 0 ? index + 1 : index - 1))
    .filter((index) => !here.has(index));
}

function parentsOf(indexes: readonly number[]): number[] {
  return [...new Set(indexes.map((index) => Math.floor(index / 2)))];
}

function parentOf(pair: Uint8Array): Uint8Array {
  return createHash('sha256').update(pair).digest();
}
