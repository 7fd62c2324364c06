import { utf8 } from '../../../src/lib/bytes.ts';
import { EMPTY_ROOT, leafHash, nodeHash, type ReadSubtree } from '../../../src/record/tree.ts';

/** Entries that are all different. */
export function entries(count: number, first = 0): Uint8Array[] {
  return Array.from({ length: count }, (_, at) => utf8(`entry ${first + at}`));
}

/** The hashes of entries. */
export function leaves(count: number, first = 0): Uint8Array[] {
  return entries(count, first).map((entry) => leafHash(entry));
}

/** The root straight from RFC 6962's definition: the slow way that the fast one is held against. */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  const [first, ...others] = hashes;
  if (first === undefined) return EMPTY_ROOT;
  if (others.length === 0) return first;
  const split = 2 ** Math.floor(Math.log2(hashes.length - 1));
  return nodeHash(rootOf(hashes.slice(0, split)), rootOf(hashes.slice(split)));
}

/** Reads full subtrees out of all the leaves. */
export function plainReader(hashes: readonly Uint8Array[]): ReadSubtree {
  return ({ height, index }) => {
    const width = 2 ** height;
    if ((index + 1) * width > hashes.length) throw new Error(`no full subtree ${height}:${index}`);
    return rootOf(hashes.slice(index * width, (index + 1) * width));
  };
}

/** The same arrays, each time with one bit of one of them turned. */
export function flippedBits(arrays: readonly Uint8Array[], bit: number): Uint8Array[][] {
  return arrays.map((_, which) =>
    arrays.map((bytes, at) => {
      if (at !== which) return bytes;
      const changed = bytes.slice();
      const place = Math.floor(bit / 8) % changed.length;
      changed[place] = (changed[place] ?? 0) ^ (1 << (bit % 8));
      return changed;
    }),
  );
}
