import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { readText, withSecretFile, writeDurably } from '../../src/host/files.ts';
import { utf8 } from '../../src/lib/bytes.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-files-'));
  return async () => rm(folder, { recursive: true });
});

test('a file is replaced as a whole, with its mode, and nothing is left beside it', async () => {
  const path = join(folder, 'key');
  await writeDurably({ path, bytes: 'a long first text' });
  await writeDurably({ path, bytes: 'short' });
  expect(await readFile(path, 'utf8')).toBe('short');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['key']);
});

test('a file that is not there is none; one that is too long is refused', async () => {
  expect(await readText(join(folder, 'none'), 10)).toBeUndefined();
  await writeDurably({ path: join(folder, 'long'), bytes: 'x'.repeat(11) });
  await expect(readText(join(folder, 'long'), 10)).rejects.toThrow('longer than the 10 bytes');
});

test('a program reads a secret by descriptor; it has no name, and is wiped', async () => {
  const secret = utf8('not to be seen');
  const read = await withSecretFile({ folder, secret }, async (file) => {
    expect(await readdir(folder)).toEqual([]);
    return run({ file: 'cat', args: ['/proc/self/fd/0'], stdin: file });
  });
  expect(read).toBe('not to be seen');
  expect([...secret].every((byte) => byte === 0)).toBe(true);
});

test('a secret is wiped as well when its user fails', async () => {
  const secret = utf8('not to be seen');
  const failing = withSecretFile({ folder, secret }, async () => {
    throw new Error('no luck');
  });
  await expect(failing).rejects.toThrow('no luck');
  expect([...secret].every((byte) => byte === 0)).toBe(true);
});
