import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openProver } from '../../../src/directory/record/proofs.ts';
import { openTileFolder, type TileStore } from '../../../src/directory/record/tiles.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { checkConsistency, checkInclusion } from '../../../src/record/proof.ts';
import { type Edge, EMPTY_EDGE, growEdge, headOf } from '../../../src/record/tile.ts';
import type { TreeHead } from '../../../src/record/tree.ts';
import { leaves } from '../../support/record/plain-tree.ts';

function openFolder(): { readonly path: string; readonly tiles: TileStore } {
  const path = mkdtempSync(join(tmpdir(), 'zos-tiles-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return { path, tiles: openTileFolder(path) };
}

/** A log that grew in these steps, each of them written. */
async function grow(tiles: TileStore, sizes: readonly number[]): Promise<TreeHead[]> {
  let edge: Edge = EMPTY_EDGE;
  const heads: TreeHead[] = [];
  for (const size of sizes) {
    const grown = growEdge(edge, leaves(size - edge.size, edge.size));
    await tiles.write(grown.tiles);
    edge = grown.edge;
    heads.push(headOf(edge));
  }
  return heads;
}

test('proofs out of the folder hold for every size that was written, and between any two', async () => {
  const { tiles } = openFolder();
  const sizes = [1, 2, 200, 256, 257, 600];
  const heads = await grow(tiles, sizes);
  const prover = openProver(tiles);
  const all = leaves(600);
  for (const head of heads) {
    for (const index of [0, 1, 199, 255, 256, 599].filter((each) => each < head.size)) {
      const proof = await prover.inclusion(index, head.size);
      checkInclusion({ leafHash: all[index] as Uint8Array, index, head, proof });
    }
    for (const older of heads.filter(({ size }) => size < head.size)) {
      const proof = await prover.growth(older.size, head.size);
      checkConsistency({ older, newer: head, proof });
    }
  }
  expect(await prover.growth(0, 600)).toEqual([]);
  expect(await prover.growth(600, 600)).toEqual([]);
});

test('a tile that is full stands for its partial forms, which are gone', async () => {
  const { path, tiles } = openFolder();
  await grow(tiles, [100, 256]);
  expect(readdirSync(join(path, 'tile/0'))).toEqual(['000']);
  await grow(openFolder().tiles, [100]);
  const proof = await openProver(tiles).inclusion(3, 100);
  expect(proof).toHaveLength(7);
});

test('a place that holds another history is not written over', async () => {
  const { tiles } = openFolder();
  await grow(tiles, [5, 9]);
  const other = growEdge(EMPTY_EDGE, leaves(9, 1000));
  const refusal = await tiles.write(other.tiles).catch((error: unknown) => codeOf(error));
  expect(refusal).toBe('HEAD_FORKED');
});

test('what a power cut left of a tile is written anew', async () => {
  const { path, tiles } = openFolder();
  await grow(tiles, [5]);
  const file = join(path, 'tile/0/000.p/5');
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, 100));
  await grow(tiles, [5]);
  expect(readFileSync(file)).toEqual(whole);
});

test('a folder that lost a tile gives no proof that needs it', async () => {
  const { path, tiles } = openFolder();
  await grow(tiles, [300]);
  rmSync(join(path, 'tile/0/000'));
  const refusal = await openProver(tiles)
    .inclusion(3, 300)
    .catch((error: unknown) => codeOf(error));
  expect(refusal).toBe('TILE_MISSING');
});
