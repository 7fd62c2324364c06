import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findReuse } from '../../boot/release/reuse.ts';
import { signRelease } from '../../boot/release/metadata.ts';
import { DAY_MS } from '../../src/lib/units.ts';
import { makeRelease, noise } from '../support/release/release.ts';

const nowMs = Date.UTC(2026, 10, 21);

async function metadataOf(releasePath: string): Promise<Record<string, string>> {
  const folder = join(releasePath, 'metadata');
  const names = await readdir(folder);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? '']));
}

test('signing the same release again changes nothing', async () => {
  await using release = await makeRelease(nowMs);
  const before = await metadataOf(release.releasePath);
  await signRelease({ ...release, nowMs: nowMs + DAY_MS });
  expect(await metadataOf(release.releasePath)).toEqual(before);
  expect(Object.keys(before).toSorted()).toEqual([
    '1.root.json',
    'snapshot.json',
    'targets.json',
    'timestamp.json',
  ]);
});

test('a changed part moves every version on by one and keeps the root', async () => {
  await using release = await makeRelease(nowMs);
  const before = await metadataOf(release.releasePath);
  await writeFile(join(release.releasePath, 'vmlinuz'), 'another kernel');
  const { versions } = await signRelease({ ...release, nowMs });
  expect(versions).toEqual({ root: 1, targets: 2, snapshot: 2, timestamp: 2 });
  expect((await metadataOf(release.releasePath))['1.root.json']).toBe(before['1.root.json']);
});

test('a timestamp that ends soon is renewed, and nothing else', async () => {
  await using release = await makeRelease(nowMs);
  const { versions } = await signRelease({ ...release, nowMs: nowMs + 20 * DAY_MS });
  expect(versions).toEqual({ root: 1, targets: 1, snapshot: 1, timestamp: 2 });
});

test('metadata of other keys counts as none', async () => {
  await using release = await makeRelease(nowMs);
  await using other = await makeRelease(nowMs);
  const { versions } = await signRelease({ ...release, keysPath: other.keysPath, nowMs });
  expect(versions).toEqual({ root: 1, targets: 1, snapshot: 1, timestamp: 1 });
});

test('secret keys are readable by their owner only', async () => {
  await using release = await makeRelease(nowMs);
  for (const name of ['root-1', 'root-2', 'root-3', 'targets', 'snapshot', 'timestamp']) {
    const { mode } = await stat(join(release.keysPath, `${name}.key`));
    expect(mode & 0o777).toBe(0o600);
  }
});

test('a part that is not built yet is named', async () => {
  await using release = await makeRelease(nowMs);
  const wish = { ...release, releasePath: release.folder, nowMs };
  await expect(signRelease(wish)).rejects.toThrow('vmlinuz is not built yet; run npm run image.');
});

test('reuse runs lead to the same bytes, whatever the two images hold', () => {
  const pieces = fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 40 })), { maxLength: 8 });
  const image = (parts: readonly (readonly [number, number])[]): Buffer =>
    Buffer.concat(parts.map(([seed, blocks]) => noise(blocks * 4096, seed)));
  fc.assert(
    fc.property(pieces, pieces, fc.nat(4095), (systemParts, firstParts, tail) => {
      const system = Buffer.concat([image(systemParts), noise(tail, 9)]);
      const first = image(firstParts);
      let end = 0;
      for (const [offset, length, from] of findReuse(system, first)) {
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + length;
        const lent = first.subarray(from, from + length);
        expect(system.subarray(offset, end).equals(lent)).toBe(true);
      }
      expect(end).toBeLessThanOrEqual(system.length);
    }),
    { numRuns: 50 },
  );
});
