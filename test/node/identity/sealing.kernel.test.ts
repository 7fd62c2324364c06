import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Tpm } from '../../../src/host/tpm/device.ts';
import { codeOf, sentenceOf } from '../../../src/lib/errors.ts';
import { openSelf } from '../../../src/node/bringup/identity.ts';
import { openSealer, type Sealer } from '../../../src/node/identity/sealing.ts';
import { bootMachine, eventLogOf, HONEST, measuredText } from '../../support/tpm/machine.ts';
import { openTpmLab, type TpmLab } from '../../support/tpm/software-tpm.ts';

// A real TPM of software, with the registers of a firmware in it.
let lab: TpmLab;
let folder = '';

beforeAll(async () => {
  lab = await openTpmLab();
  folder = await mkdtemp('/tmp/zos-sealed-');
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The sealer of a machine with this TPM, which stays open. */
async function sealerOf(tpm: Tpm, isSecureBoot: boolean, eventLogPath = ''): Promise<Sealer> {
  const open = async (): Promise<Tpm> => ({
    transmit: tpm.transmit,
    [Symbol.asyncDispose]: async () => undefined,
  });
  const sealer = await openSealer({ isSecureBoot, open, eventLogPath });
  if (sealer === undefined) throw new Error('the TPM was not found');
  return sealer;
}

test('a key is made, sealed, and is the same after the next start', async () => {
  const sealer = await sealerOf(await lab.make(), false);
  const made = await openSelf(`${folder}/same`, sealer);
  const again = await openSelf(`${folder}/same`, sealer);
  expect([made.isNew, again.isNew, again.isSealed]).toEqual([true, false, true]);
  expect(again.identity.id).toBe(made.identity.id);
  expect(again.keys).toEqual(made.keys);
});

test('what lies on the disk is no key, in none of its encodings', async () => {
  const sealer = await sealerOf(await lab.make(), false);
  const { keys } = await openSelf(`${folder}/noise`, sealer);
  const onDisk = await readFile(`${folder}/noise/key.json`);
  for (const secret of [keys.signing.secretKey.subarray(0, 32), keys.sealing.secretKey]) {
    const bytes = Buffer.from(secret);
    for (const shape of [bytes, bytes.toString('hex'), bytes.toString('base64').slice(0, 40)]) {
      expect(onDisk.includes(shape)).toBe(false);
    }
    const blobs = JSON.parse(onDisk.toString()) as { sealed: Record<string, string> };
    expect(Buffer.from(String(blobs.sealed['private']), 'base64').includes(bytes)).toBe(false);
  }
});

test('in another machine the disk opens nothing, with a TPM or without, and stays as it is', async () => {
  const path = `${folder}/moved`;
  const made = await openSelf(path, await sealerOf(await lab.make(), false));
  const before = await readFile(`${path}/key.json`, 'utf8');
  const other = await sealerOf(await lab.make(), false);
  const moved: unknown = await openSelf(path, other).catch((error: unknown) => error);
  expect(codeOf(moved)).toBe('KEY_SEALED_ELSEWHERE');
  const bare: unknown = await openSelf(path).catch((error: unknown) => error);
  expect(sentenceOf(bare)).toContain('this machine has none');
  expect(await readFile(`${path}/key.json`, 'utf8')).toBe(before);
  expect(made.isNew).toBe(true);
});

test('a changed Secure Boot opens nothing, and what changed is named', async () => {
  const tpm = await lab.make();
  await using honest = await bootMachine({ tpm });
  const path = `${folder}/boot`;
  await openSelf(path, await sealerOf(tpm, true, honest.eventLogPath));
  const again = await openSelf(path, await sealerOf(tpm, true, honest.eventLogPath));
  expect(again.isNew).toBe(false);
  // Somebody adds a key of their own to the firmware's.
  const changed = [...HONEST, measuredText(7, 'a key of somebody')];
  await using other = await bootMachine({ tpm, events: [measuredText(7, 'a key of somebody')] });
  await writeFile(other.eventLogPath, eventLogOf(changed));
  const error: unknown = await openSelf(path, await sealerOf(tpm, true, other.eventLogPath)).catch(
    (caught: unknown) => caught,
  );
  expect(codeOf(error)).toBe('KEY_BOOT_CHANGED');
  expect(sentenceOf(error)).toMatch(/IPL "a key of somebody" [0-9a-f]{16} is new/u);
});

test('a key of before there was a TPM is sealed at the next start', async () => {
  const path = `${folder}/late`;
  const clear = await openSelf(path);
  const sealed = await openSelf(path, await sealerOf(await lab.make(), false));
  expect([clear.isSealed, sealed.isSealed]).toEqual([false, true]);
  expect(sealed.identity.id).toBe(clear.identity.id);
  expect(await readFile(`${path}/key.json`, 'utf8')).toMatch(/^\{"sealed":/u);
});
