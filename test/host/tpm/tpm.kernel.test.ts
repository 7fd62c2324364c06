import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OWNER, runCommand } from '../../../src/host/tpm/command.ts';
import { openTpm, type Tpm } from '../../../src/host/tpm/device.ts';
import * as nv from '../../../src/host/tpm/nv.ts';
import { extendPcr, OWN_PCR, readPcr } from '../../../src/host/tpm/pcr.ts';
import { openTpmLab, type TpmLab } from '../../support/tpm/software-tpm.ts';

let lab: TpmLab;
let tpm: Tpm;
beforeAll(async () => {
  lab = await openTpmLab();
  tpm = await lab.make();
});
afterAll(async () => lab[Symbol.asyncDispose]());

test('a register holds the hash of what it held and what it was extended by', async () => {
  const digest = 'ab'.repeat(32);
  const before = await readPcr(tpm, OWN_PCR);
  await extendPcr(tpm, OWN_PCR, digest);
  const both = Buffer.from(before + digest, 'hex');
  expect(before).toBe('00'.repeat(32));
  expect(await readPcr(tpm, OWN_PCR)).toBe(createHash('sha256').update(both).digest('hex'));
});

test('a counter grows by one, and making it again changes nothing', async () => {
  const index = 0x01500001;
  expect(await nv.readCounter(tpm, index)).toBeUndefined();
  await nv.defineCounter(tpm, index);
  expect(await nv.readCounter(tpm, index)).toBeUndefined();
  await nv.incrementCounter(tpm, index);
  const first = await nv.readCounter(tpm, index);
  await nv.defineCounter(tpm, index);
  await nv.incrementCounter(tpm, index);
  expect(await nv.readCounter(tpm, index)).toBe((first ?? 0n) + 1n);
});

test('a counter that was undefined comes back above where it was', async () => {
  const index = 0x01500003;
  await nv.defineCounter(tpm, index);
  for (let times = 0; times < 3; times += 1) await nv.incrementCounter(tpm, index);
  const highest = (await nv.readCounter(tpm, index)) ?? 0n;
  const undefine = { name: 'TPM2_NV_UndefineSpace', code: 0x122, handles: [OWNER, index] };
  await runCommand(tpm, { ...undefine, sessions: ['password'] });
  await nv.defineCounter(tpm, index);
  await nv.incrementCounter(tpm, index);
  expect(await nv.readCounter(tpm, index)).toBeGreaterThan(highest);
});

test('bytes in several pieces come back whole', async () => {
  const bytes = Uint8Array.from({ length: 1300 }, (_, at) => at % 251);
  await nv.defineBytes(tpm, 0x01500002, bytes.length);
  expect(await nv.readNv(tpm, 0x01500002)).toBeUndefined();
  await nv.writeNv(tpm, 0x01500002, bytes);
  expect(await nv.readNv(tpm, 0x01500002)).toEqual(bytes);
});

test('a refusal carries the name of the response code', async () => {
  await expect(nv.incrementCounter(tpm, 0x0150_0099)).rejects.toMatchObject({
    code: 'TPM_REFUSED',
    message: 'The TPM refused TPM2_NV_Increment with TPM_RC_HANDLE.',
    facts: { rc: 'TPM_RC_HANDLE' },
  });
  await expect(runCommand(tpm, { name: 'none', code: 0x1 })).rejects.toMatchObject({
    facts: { rc: 'TPM_RC_COMMAND_CODE' },
  });
});

test('no TPM, and one that falls silent or talks nonsense, are named', async () => {
  await expect(openTpm({ path: '/dev/no-such-tpm' })).rejects.toMatchObject({ code: 'TPM_ABSENT' });
  const folder = await mkdtemp('/tmp/zos-tpm-');
  const answers = [undefined, Buffer.from('80010000000900000000', 'hex'), Buffer.alloc(9000, 0xff)];
  try {
    for (const [at, answer] of answers.entries()) {
      const server = createServer((socket) => {
        socket.on('data', () => (answer === undefined ? undefined : socket.write(answer)));
      });
      const path = `${folder}/${at}`;
      await new Promise<void>((resolve) => {
        server.listen(path, resolve);
      });
      await using line = await openTpm({ path, deadlineMs: 500 });
      const outcome = await readPcr(line, 0).then(
        () => 'read',
        (error: { code: string }) => error.code,
      );
      server.close();
      expect(outcome).toBe(['TPM_SILENT', 'TPM_ANSWER_MALFORMED', 'TPM_ANSWER_MALFORMED'][at]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
