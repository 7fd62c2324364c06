import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keepFloor, readFloors } from '../../../src/artifact/release/store-floor.ts';
import type { Floor } from '../../../src/artifact/release/floor.ts';
import { formatExt4, readContent } from '../../../src/host/disk.ts';
import { MiB } from '../../../src/lib/units.ts';
import { openTpmLab } from '../../support/tpm/software-tpm.ts';

const LABEL = 'zos-test';

function floorOf(targets: number, root = 1, rootSha256 = 'ab'.repeat(32)): Floor {
  return { versions: { root, timestamp: targets, snapshot: targets, targets }, rootSha256 };
}

/** What the TPM at a path remembers. */
async function inTpm(tpmPath: string): Promise<Floor | undefined> {
  const onTrouble = (by: string, error: unknown): void => {
    if (by.startsWith('the TPM')) throw error;
  };
  const found = await readFloors({ tpmPath, onTrouble });
  return found.find(({ by }) => by === 'the TPM of this machine')?.floor;
}

test('a TPM remembers the highest version that a node took, through its counter', async () => {
  await using lab = await openTpmLab();
  const { path: tpmPath, ...tpm } = await lab.make();
  await tpm[Symbol.asyncDispose]();
  expect(await inTpm(tpmPath)).toBeUndefined();
  for (const [targets, remembered] of [
    [7, 7],
    [9, 9],
    [8, 9],
    [9, 9],
    [12, 12],
  ] as const) {
    const { keptBy } = await keepFloor({ floor: floorOf(targets), disk: undefined, tpmPath });
    expect(keptBy).toEqual(['tpm']);
    expect((await inTpm(tpmPath))?.versions.targets).toBe(remembered);
  }
});

test('a TPM that served a release of other keys begins anew with those of today', async () => {
  await using lab = await openTpmLab();
  const { path: tpmPath, ...tpm } = await lab.make();
  await tpm[Symbol.asyncDispose]();
  await keepFloor({ floor: floorOf(30), disk: undefined, tpmPath });
  await keepFloor({ floor: floorOf(2, 1, 'cd'.repeat(32)), disk: undefined, tpmPath });
  expect(await inTpm(tpmPath)).toMatchObject({
    versions: { targets: 2 },
    rootSha256: 'cd'.repeat(32),
  });
});

test('a data disk remembers in its boot block, and its file system stays whole', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-floor-'));
  try {
    const path = join(folder, 'disk');
    await using file = await open(path, 'w');
    await file.truncate(8 * MiB);
    const disk = { path, label: LABEL };
    const tpmPath = join(folder, 'no-tpm');
    const keep = async (floor: Floor) => keepFloor({ floor, disk, tpmPath });
    await expect(keep(floorOf(5))).rejects.toMatchObject({ code: 'DISK_FOREIGN' });
    expect((await readFile(path)).every((byte) => byte === 0)).toBe(true);
    await formatExt4(disk);
    const before = await readFile(path);
    expect(await keep(floorOf(5))).toEqual({ keptBy: ['disk'] });
    await keep(floorOf(4));
    const after = await readFile(path);
    expect(after.subarray(1024).equals(before.subarray(1024))).toBe(true);
    expect(after.subarray(0, 8).toString()).toBe('ZOSFLOOR');
    expect(after.readBigUInt64LE(16 + 3 * 8)).toBe(5n);
    expect(await readContent(path)).toMatchObject({ kind: 'ext4', label: LABEL });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
