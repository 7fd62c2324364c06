import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Measurements } from '../../src/attestation/spec.ts';
import type { BootFacts } from '../../src/capacity/class.ts';
import { findOwnClass, type OwnClass } from '../../src/node/bringup/attestation.ts';
import { type TestDirectory } from '../support/directory.ts';
import { contractFor } from '../support/identity/farm.ts';
import { startAgent, type TestAgent, until } from '../support/node/agent.ts';
import { IMAGE, joined, lonely, nodeOf, openGrid, stateOf, submit } from '../support/node/grid.ts';
import {
  bootMachine,
  HONEST,
  type Measured,
  measuredText,
  measurementsOf,
} from '../support/tpm/machine.ts';
import { openTpmLab, type TpmLab } from '../support/tpm/software-tpm.ts';

const LOCKED: BootFacts = { isSecureBoot: true, lockdown: 'integrity', loader: null };

const open = new AsyncDisposableStack();
let lab: TpmLab;
let measurements: Measurements;
let honest: OwnClass;

beforeAll(async () => {
  lab = open.use(await openTpmLab());
  await lab.make();
  measurements = measurementsOf(await lab.certificates());
  honest = await bootOn(HONEST);
});
afterAll(async () => open.disposeAsync());

/** A machine that booted so, and what its agent finds. */
async function bootOn(events: readonly Measured[], facts = LOCKED): Promise<OwnClass> {
  const tpm = await lab.make();
  const { eventLogPath, extendedPath } = open.use(await bootMachine({ tpm, events }));
  // One talks to a TPM at a time: the firmware is done.
  await tpm[Symbol.asyncDispose]();
  return findOwnClass({ facts, measurements, tpmPath: tpm.path, eventLogPath, extendedPath });
}

async function proofOf(directory: TestDirectory, agent: TestAgent) {
  const { proof } = await until(
    async () => directory.client.node(agent.self.identity.id),
    (node) => node.proof !== null,
    () => agent.lines.join('\n'),
  );
  return proof;
}

const CHANGED = [...HONEST, measuredText(4, 'another loader')];

test('the class of a boot, and why it is not a higher one', async () => {
  expect(honest).toMatchObject({ class: 'attested', because: '' });
  expect(await bootOn(CHANGED)).toMatchObject({
    class: 'verified',
    because: expect.stringContaining('PCR 4 has IPL "another loader"') as string,
  });
  const unlocked = { ...LOCKED, lockdown: 'none' };
  expect(await bootOn(HONEST, unlocked)).toMatchObject({ class: 'unverified' });
  const bios: BootFacts = { isSecureBoot: false, lockdown: 'integrity', loader: 'local' };
  const tpmPath = '/dev/no-such-tpm';
  expect(await findOwnClass({ facts: bios, measurements, tpmPath })).toMatchObject({
    class: 'loader-verified',
    endorsement: null,
  });
  const pxe: BootFacts = { ...bios, loader: 'network' };
  expect(await findOwnClass({ facts: pxe, measurements, tpmPath })).toMatchObject({
    class: 'unverified',
    because: 'Secure Boot is off, and the loader came over the network unchecked',
  });
});

test('a node that proves its class gets what requires it', async () => {
  const { directory, farmer, tenant } = await openGrid(measurements);
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer, own: honest });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  expect(await proofOf(directory, agent)).toMatchObject({ isProven: true, release: 'test 1' });
  const wish = { ...lonely(), requires: 'attested' as const };
  const id = await submit(directory, contractFor(tenant, nodeOf(agent), wish));
  await stateOf(directory, agent, { id, state: 'running' });
  expect(honest.facts).toEqual(LOCKED);
});

test('a node that only says it is attested is found out, and gets nothing that requires it', async () => {
  const { directory, farmer, tenant } = await openGrid(measurements);
  await using _directory = directory;
  const liar = { ...(await bootOn(CHANGED)), class: 'attested' as const };
  await using agent = await startAgent({ directory, farmer, own: liar });
  await joined(directory, 1);
  expect(await proofOf(directory, agent)).toMatchObject({
    isProven: false,
    because: expect.stringContaining('BOOT_CHANGED') as string,
  });
  const wish = { ...lonely(), requires: 'attested' as const };
  const carried = contractFor(tenant, nodeOf(agent), wish);
  await expect(directory.client.submitContract(carried)).rejects.toMatchObject({
    code: 'CLASS_TOO_LOW',
  });
});

test('a node with the TPM of another machine behind its name is found out', async () => {
  const { directory, farmer } = await openGrid(measurements);
  await using _directory = directory;
  const other = await bootOn(CHANGED);
  // It offers the honest machine's endorsement and answers by its own TPM.
  const thief = { class: 'attested' as const, endorsement: honest.endorsement };
  await using agent = await startAgent({
    directory,
    farmer,
    own: { ...thief, attest: other.attest },
  });
  await joined(directory, 1);
  await until(
    async () => agent.lines,
    (lines) => lines.some((line) => line.includes('refused question: TPM_REFUSED')),
    () => agent.lines.join('\n'),
  );
  const { proof } = await directory.client.node(agent.self.identity.id);
  expect(proof).toBeNull();
});
