import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeMeasurements } from '../../../boot/release/measurements.ts';
import { parseMeasurements } from '../../../src/attestation/spec.ts';
import { sha256Hex, utf8 } from '../../../src/lib/bytes.ts';

const folder = mkdtempSync(join(tmpdir(), 'zos-measurements-'));
const releasePath = join(folder, 'release');
const wish = { releasePath, keysPath: join(folder, 'keys'), release: 'test 1' };

beforeAll(() => {
  mkdirSync(releasePath);
  for (const name of ['vmlinuz', 'initramfs.cpio']) writeFileSync(join(releasePath, name), name);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function measured(system: string) {
  writeFileSync(join(releasePath, 'system.erofs'), system);
  await writeMeasurements(wish);
  const bytes = readFileSync(join(releasePath, 'measurements.json'));
  return parseMeasurements(new Uint8Array(bytes));
}

test('a release without a first stage for UEFI names its system and kernel, and no first stage', async () => {
  expect(await measured('one')).toEqual({
    firstStages: [],
    systems: [sha256Hex(utf8('one'))],
    kernels: ['vmlinuz', 'initramfs.cpio'].map((name) => sha256Hex(utf8(name))),
    endorsementRoots: [],
  });
});

test('what a release before named still counts, the newest first, and no more than is kept', async () => {
  const { systems } = await measured('two');
  expect(systems).toEqual(['two', 'one'].map((text) => sha256Hex(utf8(text))));
  expect((await measured('one')).systems).toEqual(systems.toReversed());
  for (let count = 0; count < 20; count += 1) await measured(`later ${count}`);
  const later = (await measured('last')).systems;
  expect(later[0]).toBe(sha256Hex(utf8('last')));
  expect(later).toHaveLength(16);
  expect(later).not.toContain(sha256Hex(utf8('one')));
});

test('a file that is damaged is written anew', async () => {
  writeFileSync(join(releasePath, 'measurements.json'), '{"systems":');
  expect((await measured('anew')).systems).toEqual([sha256Hex(utf8('anew'))]);
});
