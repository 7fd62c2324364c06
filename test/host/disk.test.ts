import { mkdtemp, open, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { formatExt4, readContent } from '../../src/host/disk.ts';
import { MiB } from '../../src/lib/units.ts';

const LENGTH = 64 * MiB;
let path = '';

/** A file as large as a small disk, all zero, that takes no room. */
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-disk-'));
  path = join(folder, 'disk');
  await using file = await open(path, 'w');
  await file.truncate(LENGTH);
  return async () => rm(folder, { recursive: true });
});

async function write(offset: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
}

test('zeros at both ends are a blank disk', async () => {
  expect(await readContent(path)).toEqual({ kind: 'blank' });
});

test.each([0, 510, MiB - 1, LENGTH - MiB, LENGTH - 1])(
  'one byte at %i makes it somebody’s',
  async (offset) => {
    await write(offset, Uint8Array.of(1));
    expect((await readContent(path)).kind).toBe('foreign');
  },
);

test('a disk shorter than what is looked at is looked at whole', async () => {
  await using file = await open(path, 'r+');
  await file.truncate(1000);
  expect((await readContent(path)).kind).toBe('blank');
  await write(999, Uint8Array.of(1));
  expect((await readContent(path)).kind).toBe('foreign');
});

const UUID = expect.stringMatching(/^[0-9a-f]{32}$/u);

test('what mke2fs makes is read by its label, and is never blank again', async () => {
  await formatExt4({ path, label: 'zos-data' });
  expect(await readContent(path)).toEqual({ kind: 'ext4', label: 'zos-data', uuid: UUID });
  await formatExt4({ path, label: 'sixteen-letters_' });
  expect(await readContent(path)).toEqual({ kind: 'ext4', label: 'sixteen-letters_', uuid: UUID });
});

test('a link is not followed to a disk that nobody named', async () => {
  const link = `${path}-link`;
  await symlink(path, link);
  onTestFinished(async () => rm(link, { force: true }));
  await expect(readContent(link)).rejects.toThrow('ELOOP');
});
