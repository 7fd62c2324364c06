import { createPublicKey, verify } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { detachedSignature, ensureLoaderKey, signLoaded } from '../../boot/release/loader.ts';
import { concatBytes, utf8 } from '../../src/lib/bytes.ts';

// Whether GRUB takes these signatures, GRUB says: see test/journeys/firmware/bios.journey.test.ts.
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-loader-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('the key is made once, for its owner only, and damage is told', async () => {
  const first = await ensureLoaderKey({ keysPath: folder, nowMs: 1e12 });
  const again = await ensureLoaderKey({ keysPath: folder, nowMs: 2e12 });
  expect(again.publicPacket).toEqual(first.publicPacket);
  expect((await stat(join(folder, 'loader.key'))).mode & 0o777).toBe(0o600);
  await writeFile(join(folder, 'loader.key'), 'no key');
  await expect(ensureLoaderKey({ keysPath: folder, nowMs: 1e12 })).rejects.toMatchObject({
    code: 'KEY_DAMAGED',
  });
});

test('a public key that belongs to another private key is never embedded', async () => {
  await ensureLoaderKey({ keysPath: folder, nowMs: 1e12 });
  const other = await mkdtemp(join(tmpdir(), 'zos-loader-'));
  const { publicPacket } = await ensureLoaderKey({ keysPath: other, nowMs: 1e12 });
  await rm(other, { recursive: true });
  await writeFile(join(folder, 'loader.pub'), publicPacket);
  await expect(ensureLoaderKey({ keysPath: folder, nowMs: 1e12 })).rejects.toMatchObject({
    code: 'KEY_DAMAGED',
  });
});

test('a signature covers the file and its own head, and is the same every time', async () => {
  const key = await ensureLoaderKey({ keysPath: folder, nowMs: 1e12 });
  const file = utf8('a kernel');
  const signature = detachedSignature(file, key);
  expect(detachedSignature(file, key)).toEqual(signature);
  expect(detachedSignature(utf8('another'), key)).not.toEqual(signature);
  // RFC 4880, section 5.2: three bytes of packet head, twelve of what is covered, ..., one number.
  const covered = signature.subarray(3, 15);
  const trailer = new Uint8Array([4, 0xff, 0, 0, 0, covered.length]);
  const message = concatBytes(file, covered, trailer);
  expect(verify('sha256', message, createPublicKey(key.key), signature.subarray(-384))).toBe(true);
});

test('what the loader reads is signed, each beside itself', async () => {
  const key = await ensureLoaderKey({ keysPath: folder, nowMs: 1e12 });
  await writeFile(join(folder, 'vmlinuz'), 'a kernel');
  await expect(signLoaded(folder, key)).rejects.toMatchObject({ code: 'PART_MISSING' });
  await writeFile(join(folder, 'initramfs.cpio'), 'a first stage');
  await signLoaded(folder, key);
  const signature = new Uint8Array(await readFile(join(folder, 'vmlinuz.sig')));
  expect(signature).toEqual(detachedSignature(utf8('a kernel'), key));
});
