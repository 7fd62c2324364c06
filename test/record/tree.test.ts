import { expect, test } from 'vitest';
import {
  EMPTY_ROOT,
  hashOf,
  leafHash,
  nodeHash,
  splitOf,
  subtreesOf,
} from '../../src/record/tree.ts';
import { fromHex, sha256Hex, toHex } from '../../src/lib/bytes.ts';
import { entries, rootOf } from '../support/record/plain-tree.ts';

/** The eight entries and nine roots that every implementation of RFC 6962 is tried with. */
const INPUTS = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('the roots of 0 to 8 entries are the constants of RFC 6962', () => {
  const leaves = INPUTS.map((hex) => leafHash(fromHex(hex) ?? new Uint8Array()));
  for (const [size, root] of ROOTS.entries()) {
    expect(toHex(rootOf(leaves.slice(0, size))), `${size} entries`).toBe(root);
    const read = ({ height, index }: { height: number; index: number }): Uint8Array =>
      rootOf(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height));
    expect(toHex(hashOf({ start: 0, end: size }, read)), `${size} by subtrees`).toBe(root);
  }
});

test('a leaf and a node are told apart by their first byte', () => {
  expect(toHex(EMPTY_ROOT)).toBe(sha256Hex());
  const [left, right] = entries(2).map((entry) => leafHash(entry));
  if (left === undefined || right === undefined) throw new Error('two leaves');
  expect(toHex(nodeHash(left, right))).toBe(sha256Hex(Uint8Array.of(1), left, right));
  expect(toHex(leafHash(left))).toBe(sha256Hex(Uint8Array.of(0), left));
});

test('a range falls into full subtrees, larger ones first', () => {
  const shown = (start: number, end: number): string[] =>
    subtreesOf({ start, end }).map(({ height, index }) => `${height}:${index}`);
  expect(shown(0, 0)).toEqual([]);
  expect(shown(0, 7)).toEqual(['2:0', '1:2', '0:6']);
  expect(shown(4, 7)).toEqual(['1:2', '0:6']);
  expect(shown(3, 8)).toEqual(['0:3', '2:1']);
  expect(shown(0, 2 ** 40 + 1)).toEqual(['40:0', `0:${2 ** 40}`]);
});

test('a tree splits at the largest power of two below its size', () => {
  expect([2, 3, 4, 5, 8, 9].map((size) => splitOf(size))).toEqual([1, 2, 2, 4, 4, 8]);
  expect(splitOf(Number.MAX_SAFE_INTEGER)).toBe(2 ** 52);
});
