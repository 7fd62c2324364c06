import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentialFor } from '../../src/attestation/challenge.ts';
import type { Attestor } from '../../src/attestation/observe.ts';
import type { Endorsement, Evidence, Measurements } from '../../src/attestation/spec.ts';
import { type Challenge, verifyAttestation } from '../../src/attestation/verify.ts';
import { createAttestationKey, quotePcrs } from '../../src/host/tpm/keys.ts';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import {
  bootAttestor,
  HONEST,
  type Measured,
  measuredText,
  measurementsOf,
  nonceOf,
  SYSTEM,
} from '../support/tpm/machine.ts';
import { openTpmLab, type TpmLab } from '../support/tpm/software-tpm.ts';

let lab: TpmLab;
let measurements: Measurements;
let honest: Attestor;
const machines = new AsyncDisposableStack();

beforeAll(async () => {
  lab = machines.use(await openTpmLab());
  honest = await boot({});
  measurements = measurementsOf(await lab.certificates());
});
afterAll(async () => machines.disposeAsync());

async function boot(wish: {
  readonly events?: readonly Measured[];
  readonly systems?: readonly string[];
}): Promise<Attestor> {
  return machines.use(await bootAttestor({ ...wish, tpm: await lab.make() })).attestor;
}

let asked = 0;

/** A question to the machine that says it is `endorsement`. */
function challengeTo(endorsement: Endorsement) {
  asked += 1;
  const secrets = { secret: randomBytes(32), seed: randomBytes(32) };
  const challenge: Challenge = { nonce: nonceOf(`${asked}`), secret: secrets.secret, endorsement };
  return { challenge, credential: credentialFor(endorsement, measurements, secrets) };
}

async function ask(machine: Attestor) {
  const { challenge, credential } = challengeTo(machine.endorsement);
  const evidence = await machine.answer({ nonce: challenge.nonce, credential });
  return { challenge, evidence, measurements };
}

/** The same answer with something else in it. */
function changed(evidence: Uint8Array, change: (was: Evidence) => Partial<Evidence>): Uint8Array {
  const was = JSON.parse(Buffer.from(evidence).toString()) as Evidence;
  return utf8(JSON.stringify({ ...was, ...change(was) }));
}

function refusal(wish: Parameters<typeof verifyAttestation>[0]) {
  try {
    verifyAttestation(wish);
  } catch (error) {
    const { code, message, facts } = error as { code: string; message: string; facts: object };
    return { code, message, ...facts };
  }
  return 'it was believed';
}

test('an honest machine is believed, with its release and its system', async () => {
  const answer = verifyAttestation(await ask(honest));
  expect(answer).toMatchObject({ release: 'test 1', systems: [SYSTEM] });
});

test('check 1: evidence of another form', async () => {
  const wish = await ask(honest);
  const evidence = changed(wish.evidence, () => ({ extended: ['no hash'] }));
  expect(refusal({ ...wish, evidence })).toMatchObject({ code: 'EVIDENCE_MALFORMED', check: 1 });
});

test('check 2: a TPM by a maker that the release does not list', async () => {
  await using other = await openTpmLab();
  const certificates = await bootAttestor({ tpm: await other.make() }).then(async () =>
    other.certificates(),
  );
  const wish = await ask(honest);
  const strange = { ...wish, measurements: measurementsOf(certificates) };
  expect(refusal(strange)).toMatchObject({ code: 'ENDORSEMENT_UNKNOWN', check: 2 });
});

test('check 3: a key that could sign what its TPM did not make', async () => {
  const wish = await ask(honest);
  const evidence = changed(wish.evidence, ({ endorsement }) => {
    const key = Buffer.from(endorsement.key, 'base64');
    // TPMA_OBJECT without `restricted`.
    key.writeUInt32BE(key.readUInt32BE(4) & ~0x10000, 4);
    return { endorsement: { ...endorsement, key: key.toString('base64') } };
  });
  expect(refusal({ ...wish, evidence })).toMatchObject({ code: 'KEY_UNFIT', check: 3 });
});

test('check 4: a key borrowed from another machine opens no credential', async () => {
  const other = await boot({});
  // Its owner claims another, honest machine's key beside the TPM that the question goes to.
  const claimed = { ...other.endorsement, key: honest.endorsement.key };
  const { challenge, credential } = challengeTo(claimed);
  await expect(other.answer({ nonce: challenge.nonce, credential })).rejects.toMatchObject({
    code: 'TPM_REFUSED',
    facts: { rc: expect.stringMatching(/INTEGRITY|VALUE/u) as string },
  });
  await expect(honest.answer({ nonce: challenge.nonce, credential })).rejects.toMatchObject({
    code: 'TPM_REFUSED',
  });
  // So whatever it gives as the secret is wrong.
  const borrowed = await ask(honest);
  const evidence = changed(borrowed.evidence, () => ({
    endorsement: claimed,
    activated: sha256Hex(utf8('guessed')),
  }));
  expect(refusal({ evidence, challenge, measurements })).toMatchObject({
    code: 'TPM_OTHER',
    check: 4,
  });
});

test('check 4: the quote of another machine', async () => {
  const [mine, theirs] = [await ask(honest), await ask(await boot({}))];
  expect(refusal({ ...mine, evidence: theirs.evidence })).toMatchObject({ code: 'TPM_OTHER' });
});

test('check 5: a quote that was changed, or signed by another TPM', async () => {
  const [mine, theirs] = [await ask(honest), await ask(await boot({}))];
  const other = JSON.parse(Buffer.from(theirs.evidence).toString()) as Evidence;
  const { attest, signature } = other;
  const evidence = changed(mine.evidence, () => ({ attest, signature }));
  expect(refusal({ ...mine, evidence })).toMatchObject({ code: 'QUOTE_UNSIGNED', check: 5 });
  const flipped = changed(mine.evidence, (was) => {
    const bytes = Buffer.from(was.attest, 'base64');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    return { attest: bytes.toString('base64') };
  });
  expect(refusal({ ...mine, evidence: flipped })).toMatchObject({ code: 'QUOTE_UNSIGNED' });
});

test('check 6: a quote that answered an older question', async () => {
  const before = await ask(honest);
  const now = await ask(honest);
  const old = JSON.parse(Buffer.from(before.evidence).toString()) as Evidence;
  const { attest, signature } = old;
  const evidence = changed(now.evidence, () => ({ attest, signature }));
  expect(refusal({ ...now, evidence })).toMatchObject({ code: 'NONCE_OLD', check: 6 });
});

test('check 7: a quote over other registers', async () => {
  const tpm = await lab.make();
  const { attestor } = machines.use(await bootAttestor({ tpm }));
  const wish = await ask(attestor);
  const nonce = Buffer.from(wish.challenge.nonce, 'hex');
  const key = await createAttestationKey(tpm);
  const quote = await quotePcrs(tpm, key, { nonce, registers: [4, 7, 11, 14] });
  const evidence = changed(wish.evidence, () => ({
    attest: Buffer.from(quote.attest).toString('base64'),
    signature: Buffer.from(quote.signature).toString('base64'),
  }));
  expect(refusal({ ...wish, evidence })).toMatchObject({ code: 'PCR_SELECTION', check: 7 });
});

test('check 8: other values than those quoted', async () => {
  const wish = await ask(honest);
  const evidence = changed(wish.evidence, ({ pcrs }) => ({ pcrs: { ...pcrs, 4: SYSTEM } }));
  expect(refusal({ ...wish, evidence })).toMatchObject({ code: 'PCR_VALUES', check: 8 });
});

test('check 9: something was added to the signed command line', async () => {
  const machine = await boot({ events: [...HONEST, measuredText(12, 'debug')] });
  const expected = { code: 'PCR_NOT_ZERO', check: 9, register: 12 };
  expect(refusal(await ask(machine))).toMatchObject(expected);
});

test('check 10: a changed boot is refused with the event that changed', async () => {
  const events = HONEST.map((event) =>
    event.what === 'zos.efi' ? measuredText(4, 'evil.efi') : event,
  );
  const machine = await boot({ events });
  const found = sha256Hex(utf8('evil.efi')).slice(0, 16);
  const wanted = sha256Hex(utf8('zos.efi')).slice(0, 16);
  expect(refusal(await ask(machine))).toMatchObject({
    code: 'BOOT_CHANGED',
    check: 10,
    registers: [4],
    message:
      'What booted is not test 1, by PCR 4: PCR 4 has IPL "evil.efi" ' +
      `${found} where zos.efi ${wanted} is expected.`,
  });
});

test('check 10: a log that hides the change names nothing, and convinces nobody', async () => {
  const machine = await boot({ events: [...HONEST, measuredText(7, 'another key')] });
  const wish = await ask(machine);
  expect(refusal(wish)).toMatchObject({
    code: 'BOOT_CHANGED',
    message: expect.stringContaining('PCR 7 has IPL "another key"') as string,
  });
  const evidence = changed(wish.evidence, () => ({ eventLog: '' }));
  expect(refusal({ ...wish, evidence })).toMatchObject({
    code: 'BOOT_CHANGED',
    message: expect.stringContaining('its event log does not tell what') as string,
  });
});

test('check 11: a system that no release lists, or that the node keeps quiet about', async () => {
  const evil = sha256Hex(utf8('evil system'));
  const machine = await boot({ systems: [SYSTEM, evil] });
  const wish = await ask(machine);
  const expected = { code: 'SYSTEM_UNKNOWN', check: 11 };
  expect(refusal(wish)).toMatchObject({ ...expected, system: evil });
  const quiet = changed(wish.evidence, () => ({ extended: [SYSTEM] }));
  expect(refusal({ ...wish, evidence: quiet })).toMatchObject(expected);
  expect(refusal(await ask(await boot({ systems: [] })))).toMatchObject(expected);
});
