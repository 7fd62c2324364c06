import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBase64 } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import {
  checkConsistency,
  checkInclusion,
  consistencyRanges,
  type ConsistencyClaim,
  inclusionRanges,
  type InclusionClaim,
  PROOF_HASHES_MAX,
  proveConsistency,
  proveInclusion,
} from '../../src/record/proof.ts';
import { EMPTY_ROOT, nodeHash, TREE_SIZE_MAX } from '../../src/record/tree.ts';
import { flippedBits, leaves, plainReader, rootOf } from '../support/record/plain-tree.ts';

type Vector = {
  readonly name: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
};
type InclusionVector = Vector & {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string | null;
  readonly leafHash: string | null;
};
type ConsistencyVector = Vector & {
  readonly size1: number;
  readonly size2: number;
  readonly root1: string | null;
  readonly root2: string | null;
};

function vectorsOf(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
}

function bytesOf(text: string | null | undefined): Uint8Array {
  return fromBase64(text ?? '') ?? new Uint8Array();
}

function verdict(check: () => void): string {
  try {
    check();
    return 'holds';
  } catch (error) {
    return codeOf(error);
  }
}

test('every inclusion vector of transparency-dev is judged right', () => {
  const vectors = vectorsOf('rfc6962-inclusion') as readonly InclusionVector[];
  expect(vectors).toHaveLength(98);
  for (const { name, leafIdx, treeSize, root, leafHash, proof, wantErr } of vectors) {
    const claim = {
      leafHash: bytesOf(leafHash),
      index: leafIdx,
      head: { size: treeSize, root: bytesOf(root) },
      proof: (proof ?? []).map((hash) => bytesOf(hash)),
    };
    const found = verdict(() => checkInclusion(claim));
    expect(found, `vector ${name}`).toMatch(wantErr ? /^(?:INCLUSION|SIZE)_INVALID$/ : /^holds$/);
  }
});

test('every consistency vector of transparency-dev is judged right', () => {
  const vectors = vectorsOf('rfc6962-consistency') as readonly ConsistencyVector[];
  expect(vectors).toHaveLength(98);
  for (const { name, size1, size2, root1, root2, proof, wantErr } of vectors) {
    const claim = {
      older: { size: size1, root: bytesOf(root1) },
      newer: { size: size2, root: bytesOf(root2) },
      proof: (proof ?? []).map((hash) => bytesOf(hash)),
    };
    const found = verdict(() => checkConsistency(claim));
    expect(found, `vector ${name}`).toMatch(wantErr ? /^(?:CONSISTENCY|SIZE)_INVALID$/ : /^holds$/);
  }
});

/** The tree of seven entries in c2sp.org/merkle-tree, with its letters. */
test('the proofs of the C2SP example tree are made of the hashes that it names', () => {
  const letters = leaves(7);
  const at = (index: number): Uint8Array => letters[index] ?? EMPTY_ROOT;
  const [a, b, c, d, e, f, g] = [at(0), at(1), at(2), at(3), at(4), at(5), at(6)];
  const [h, i, j] = [nodeHash(a, b), nodeHash(c, d), nodeHash(e, f)];
  const [k, l] = [nodeHash(h, i), nodeHash(j, g)];
  const read = plainReader(letters);
  expect(proveInclusion(0, 7, read)).toEqual([b, i, l]);
  expect(proveInclusion(3, 7, read)).toEqual([c, h, l]);
  expect(proveInclusion(4, 7, read)).toEqual([f, g, k]);
  expect(proveInclusion(6, 7, read)).toEqual([j, k]);
  expect(proveConsistency(3, 7, read)).toEqual([c, d, h, l]);
  expect(proveConsistency(4, 7, read)).toEqual([l]);
  expect(proveConsistency(6, 7, read)).toEqual([j, g, k]);
});

const grown = fc
  .record({ size: fc.integer({ min: 1, max: 300 }), at: fc.nat(), older: fc.nat() })
  .map(({ size, at, older }) => ({ size, index: at % size, olderSize: 1 + (older % size) }));

function inclusionClaim(size: number, index: number): InclusionClaim {
  const hashes = leaves(size);
  return {
    leafHash: hashes[index] ?? EMPTY_ROOT,
    index,
    head: { size, root: rootOf(hashes) },
    proof: proveInclusion(index, size, plainReader(hashes)),
  };
}

function consistencyClaim(size: number, olderSize: number): ConsistencyClaim {
  const hashes = leaves(size);
  return {
    older: { size: olderSize, root: rootOf(hashes.slice(0, olderSize)) },
    newer: { size, root: rootOf(hashes) },
    proof: proveConsistency(olderSize, size, plainReader(hashes)),
  };
}

test('whatever is proven holds, and no other index, size, root, leaf or proof does', () => {
  fc.assert(
    fc.property(grown, fc.nat(), ({ size, index }, bit) => {
      const claim = inclusionClaim(size, index);
      expect(verdict(() => checkInclusion(claim))).toBe('holds');
      expect(claim.proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
      const bad: readonly InclusionClaim[] = [
        ...flippedBits(claim.proof, bit).map((proof) => ({ ...claim, proof })),
        ...flippedBits([claim.leafHash], bit).map(([hash = EMPTY_ROOT]) => {
          return { ...claim, leafHash: hash };
        }),
        ...flippedBits([claim.head.root], bit).map(([root = EMPTY_ROOT]) => {
          return { ...claim, head: { size, root } };
        }),
        { ...claim, index: index === 0 ? size : index - 1 },
        { ...claim, proof: [...claim.proof, EMPTY_ROOT] },
        ...(claim.proof.length > 0 ? [{ ...claim, proof: claim.proof.slice(1) }] : []),
      ];
      for (const other of bad) {
        expect(verdict(() => checkInclusion(other))).toBe('INCLUSION_INVALID');
      }
    }),
  );
});

test('a tree that grew is proven so, and any other root or proof is refused', () => {
  fc.assert(
    fc.property(grown, fc.nat(), ({ size, olderSize }, bit) => {
      const claim = consistencyClaim(size, olderSize);
      expect(verdict(() => checkConsistency(claim))).toBe('holds');
      const { older, newer, proof } = claim;
      const bad: readonly ConsistencyClaim[] = [
        ...flippedBits(proof, bit).map((proof) => ({ ...claim, proof })),
        ...flippedBits([older.root], bit).map(([root = EMPTY_ROOT]) => {
          return { ...claim, older: { ...older, root } };
        }),
        ...flippedBits([newer.root], bit).map(([root = EMPTY_ROOT]) => {
          return { ...claim, newer: { ...newer, root } };
        }),
        { ...claim, proof: [...proof, EMPTY_ROOT] },
        ...(proof.length > 0 ? [{ ...claim, proof: proof.slice(1) }] : []),
        ...(size > olderSize ? [{ older: newer, newer: older, proof }] : []),
      ];
      for (const other of bad) {
        expect(verdict(() => checkConsistency(other))).toBe('CONSISTENCY_INVALID');
      }
    }),
  );
});

test('a proof in the largest tree that fits is bounded, and a longer one is refused unread', () => {
  const size = TREE_SIZE_MAX;
  expect(inclusionRanges(0, size)).toHaveLength(53);
  expect(consistencyRanges(1, size)).toHaveLength(53);
  expect(consistencyRanges(2 ** 52 - 1, size).length).toBeLessThanOrEqual(PROOF_HASHES_MAX);
  const proof = Array.from({ length: PROOF_HASHES_MAX + 1 }, () => EMPTY_ROOT);
  const head = { size, root: EMPTY_ROOT };
  const inclusion = { leafHash: EMPTY_ROOT, index: 0, head, proof };
  expect(() => checkInclusion(inclusion)).toThrow('more than 54 hashes');
  const older = { size: 1, root: EMPTY_ROOT };
  expect(() => checkConsistency({ older, newer: head, proof })).toThrow('more than 54 hashes');
});

test('what is no size, and no entry of a tree, is refused by name', () => {
  for (const size of [-1, 0.5, Number.NaN, 2 ** 53]) {
    expect(verdict(() => inclusionRanges(0, size))).toBe('SIZE_INVALID');
    expect(verdict(() => consistencyRanges(1, size))).toBe('SIZE_INVALID');
  }
  expect(verdict(() => inclusionRanges(7, 7))).toBe('SIZE_INVALID');
  expect(verdict(() => consistencyRanges(0, 7))).toBe('SIZE_INVALID');
  expect(verdict(() => consistencyRanges(8, 7))).toBe('SIZE_INVALID');
});

test('a proof of a shape that no tree of these sizes has is refused, whatever its hashes say', () => {
  const [a, b, c, d] = [leaf(0), leaf(1), leaf(2), leaf(3)];
  // Whoever signs roots can sign any: a tree of one entry with a root over two.
  const two = nodeHash(b, a);
  const inclusion = { leafHash: a, index: 0, head: { size: 1, root: two }, proof: [b] };
  expect(verdict(() => checkInclusion(inclusion))).toBe('INCLUSION_INVALID');
  const shrunk = {
    older: { size: 3, root: a },
    newer: { size: 2, root: nodeHash(a, b) },
    proof: [a, b],
  };
  expect(verdict(() => checkConsistency(shrunk))).toBe('CONSISTENCY_INVALID');
  // A true proof from three entries to four, and one hash on top of both roots.
  const three = nodeHash(nodeHash(a, b), c);
  const four = nodeHash(nodeHash(a, b), nodeHash(c, d));
  const honest = { older: { size: 3, root: three }, newer: { size: 4, root: four } };
  const proof = [c, d, nodeHash(a, b)];
  expect(verdict(() => checkConsistency({ ...honest, proof }))).toBe('holds');
  const long = {
    older: { size: 3, root: nodeHash(a, three) },
    newer: { size: 4, root: nodeHash(a, four) },
    proof: [...proof, a],
  };
  expect(verdict(() => checkConsistency(long))).toBe('CONSISTENCY_INVALID');
});

function leaf(index: number): Uint8Array {
  return leaves(1, index)[0] ?? EMPTY_ROOT;
}
