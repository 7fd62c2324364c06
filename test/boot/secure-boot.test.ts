import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureSecureBootKeys, nameKeys, signCode } from '../../boot/release/secure-boot.ts';
import { run } from '../../src/host/exec.ts';
import { authenticodeSha256, withoutSignatures } from '../../src/lib/pe.ts';
import { makeExecutable } from '../support/executable.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-secure-boot-'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

test('keys are made once, for this user only, each with what a firmware takes', async () => {
  const keysPath = join(folder, 'once');
  const keys = await ensureSecureBootKeys(keysPath);
  const name = await nameKeys(keys);
  expect(await nameKeys(await ensureSecureBootKeys(keysPath))).toBe(name);
  for (const pair of [keys.PK, keys.KEK, keys.db]) {
    expect((await stat(pair.keyPath)).mode & 0o777).toBe(0o600);
  }
  for (const update of ['PK.auth', 'KEK.auth', 'db.auth']) {
    const bytes = await readFile(join(keys.folder, update));
    // A time, then a signature of the kind that firmware takes for variables (UEFI 2.10, 32.2.4).
    expect(bytes.readUInt16LE(22)).toBe(0x0ef1);
  }
});

test('a key whose certificate is gone is not replaced in silence', async () => {
  const keysPath = join(folder, 'half');
  const { db } = await ensureSecureBootKeys(keysPath);
  await rm(db.certificatePath);
  await expect(ensureSecureBootKeys(keysPath)).rejects.toMatchObject({ code: 'KEY_DAMAGED' });
});

test('code is signed in place of who signed it before, and only once', async () => {
  const [ours, theirs] = await Promise.all(
    ['ours', 'theirs'].map((name) => ensureSecureBootKeys(join(folder, name))),
  );
  if (ours === undefined || theirs === undefined) throw new Error('There are no keys.');
  const from = join(folder, 'program.efi');
  const signed = join(folder, 'signed.efi');
  const image = makeExecutable();
  await writeFile(from, image);
  await signCode({ from, to: signed, keys: theirs });
  await expect(verify(signed, ours.db.certificatePath)).rejects.toThrow(/sbverify/u);
  await signCode({ from: signed, to: signed, keys: ours });
  await verify(signed, ours.db.certificatePath);
  await expect(verify(signed, theirs.db.certificatePath)).rejects.toThrow(/sbverify/u);
  const bytes = await readFile(signed);
  expect(authenticodeSha256(bytes)).toBe(authenticodeSha256(image));
  expect(Buffer.from(withoutSignatures(bytes))).toEqual(image);
  await signCode({ from, to: signed, keys: ours });
  expect(await readFile(signed)).toEqual(bytes);
});

async function verify(path: string, certificatePath: string): Promise<void> {
  await run({ file: 'sbverify', args: ['--cert', certificatePath, path] });
}
