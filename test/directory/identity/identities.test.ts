import { expect, test } from 'vitest';
import { signCancellation, signContract, signQuestion } from '../../../src/contract/sign.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import { bundleOf, type IdentityBundle } from '../../../src/identity/bundle.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import {
  countersign,
  signEnvelope,
  type Signer,
  untrustedPayload,
} from '../../../src/identity/envelope.ts';
import { changeIdentity, deviceOf, undoChanges } from '../../../src/identity/operation.ts';
import { sha256Hex, toBase64 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { GRID, makeContract, makePerson } from '../../support/contracts.ts';
import { joinNode, openDirectory, signingOf, type TestDirectory } from '../../support/directory.ts';
import {
  freshNonce,
  makeFarmer,
  makeOffer,
  makeReceipt,
  makeToken,
} from '../../support/identity/farm.ts';
import { keysFrom, makeOwner, makeTeam } from '../../support/identity/people.ts';

const alice = makeOwner('alice');
const [bob, carol] = [makeOwner('bob'), makeOwner('carol')];
const thief = keysFrom('thief');
const next = keysFrom('alice next');
const rotated = changeIdentity(
  alice.chain,
  { signingKeys: [toBase64(next.signing.publicKey)] },
  alice.keys.rotation,
);
const stolen = changeIdentity(
  alice.chain,
  { signingKeys: [toBase64(thief.signing.publicKey)] },
  alice.keys.rotation,
);
const undone = undoChanges(stolen, { from: 1 }, alice.recovery);

type Node = { readonly id: string; readonly offerId: string };

function contractBy(
  tenant: { readonly id: string; readonly bundle: IdentityBundle },
  { id, offerId }: Node,
  ...signers: Signer[]
) {
  const changes: Partial<Contract> = { node: id, offer: offerId, nonce: freshNonce() };
  const wish = { ...makePerson('any'), id: tenant.id };
  const contract = makeContract(wish, { ...changes, workloads: [] });
  return { contract: signContract(contract, ...signers), tenant: tenant.bundle };
}

async function verdict(work: Promise<unknown>): Promise<string> {
  return work.then(() => 'taken', codeOf);
}

async function withNode(): Promise<TestDirectory & { node: Awaited<ReturnType<typeof joinNode>> }> {
  const directory = await openDirectory();
  return Object.assign(directory, { node: await joinNode(directory, makeFarmer()) });
}

test('keys that were replaced sign nothing new, and what they signed before runs on', async () => {
  await using directory = await withNode();
  const { client, node, clock } = directory;
  const before = { id: alice.id, bundle: bundleOf(alice.chain) };
  const after = { id: alice.id, bundle: bundleOf(rotated) };
  const first = contractBy(before, node, alice.keys.signing);
  const { id } = await client.submitContract(first);
  await client.putReceipt(makeReceipt(node, id, { state: 'running' }));
  await client.putIdentity(after.bundle);

  const late = client.submitContract(contractBy(before, node, alice.keys.signing));
  expect(await verdict(late)).toBe('IDENTITY_OLD');
  const forged = client.submitContract(contractBy(after, node, alice.keys.signing));
  expect(await verdict(forged)).toBe('ENVELOPE_UNTRUSTED');
  const good = contractBy(after, node, next.signing);
  expect(await verdict(client.submitContract(good))).toBe('taken');

  const wants = await client.wants(signingOf(node, clock));
  expect(wants?.contracts.map(({ contract, tenant }) => ({ contract, tenant }))).toEqual([
    first,
    good,
  ]);
  const { versions } = await client.contract(id);
  expect(versions.map(({ tenant }) => tenant)).toEqual([before.bundle]);
  expect(await client.identity(alice.id)).toEqual(after.bundle);

  const cancellation = (signer: Signer) =>
    signCancellation(
      { grid: GRID, contract: id, tenant: alice.id, node: node.id, atMs: clock.nowMs },
      signer,
    );
  const old = { cancellation: cancellation(alice.keys.signing), tenant: before.bundle };
  expect(await verdict(client.cancelContract(old))).toBe('IDENTITY_OLD');
  const now = { cancellation: cancellation(next.signing), tenant: after.bundle };
  expect(await verdict(client.cancelContract(now))).toBe('taken');
  expect((await client.wants(signingOf(node, clock)))?.cancellations).toMatchObject([now]);
});

test('a thief’s change is undone within 72 hours, with a higher key, and then never again', async () => {
  await using directory = await withNode();
  const { client, clock } = directory;
  await client.putIdentity(bundleOf(alice.chain));
  await client.putIdentity(bundleOf(stolen));
  const rival = changeIdentity(alice.chain, { name: 'rival' }, alice.keys.rotation);
  expect(await verdict(client.putIdentity(bundleOf(rival)))).toBe('IDENTITY_FORKED');
  clock.nowMs += 72 * HOUR_MS;
  expect(await verdict(client.putIdentity(bundleOf(undone)))).toBe('taken');
  expect(await client.identity(alice.id)).toEqual(bundleOf(undone));
  expect(await verdict(client.putIdentity(bundleOf(stolen)))).toBe('IDENTITY_FORKED');
});

test('a millisecond after 72 hours nothing is undone any more', async () => {
  await using directory = await withNode();
  const { client, clock } = directory;
  await client.putIdentity(bundleOf(stolen));
  clock.nowMs += 72 * HOUR_MS + 1;
  expect(await verdict(client.putIdentity(bundleOf(undone)))).toBe('UNDO_LATE');
  expect(await client.identity(alice.id)).toEqual(bundleOf(stolen));
});

test('a contract that brings new documents of its tenant makes them known', async () => {
  await using directory = await withNode();
  const { client, node } = directory;
  await client.putIdentity(bundleOf(alice.chain));
  await client.submitContract(
    contractBy({ id: alice.id, bundle: bundleOf(rotated) }, node, next.signing),
  );
  expect(await client.identity(alice.id)).toEqual(bundleOf(rotated));
});

test('a team of two of three deploys with two signatures, and with its members of now', async () => {
  await using directory = await withNode();
  const { client, node } = directory;
  const team = makeTeam('ops', [alice, bob, carol], 2);
  const one = contractBy(team, node, bob.keys.signing);
  expect(await verdict(client.submitContract(one))).toBe('ENVELOPE_UNTRUSTED');
  const contract = countersign(one.contract, 'contract', carol.keys.signing);
  const { id } = await client.submitContract({ ...one, contract });
  expect((await client.contract(id)).tenant).toBe(team.id);

  await client.putIdentity(bundleOf(rotated));
  const stale = contractBy(team, node, bob.keys.signing, carol.keys.signing);
  expect(await verdict(client.submitContract(stale))).toBe('IDENTITY_OLD');
  const bundle = await client.identity(team.id);
  expect(verifyIdentity(bundle, team.id).members[0]?.chain).toHaveLength(2);
  const fresh = contractBy({ id: team.id, bundle }, node, next.signing, carol.keys.signing);
  expect(await verdict(client.submitContract(fresh))).toBe('taken');
});

test('a device asks until it is removed', async () => {
  await using directory = await withNode();
  const { client, node, clock } = directory;
  const phone = keysFrom('phone');
  const added = changeIdentity(
    alice.chain,
    { deviceKeys: [deviceOf('phone', phone)] },
    alice.keys.rotation,
  );
  const removed = changeIdentity(added, { deviceKeys: [] }, alice.keys.rotation);
  const tenant = { id: alice.id, bundle: bundleOf(added) };
  const { id } = await client.submitContract(contractBy(tenant, node, phone.signing));
  const ask = async (bundle: IdentityBundle): Promise<string> => {
    const about = { ask: 'logs' as const, contract: id, workload: 'web' };
    const question = signQuestion(
      {
        grid: GRID,
        node: node.id,
        tenant: alice.id,
        nonce: freshNonce(),
        atMs: clock.nowMs,
        ...about,
      },
      phone.signing,
    );
    return verdict(client.askQuestion({ question, tenant: bundle }));
  };
  expect(await ask(tenant.bundle)).toBe('taken');
  await client.putIdentity(bundleOf(removed));
  expect(await ask(tenant.bundle)).toBe('IDENTITY_OLD');
  expect(await ask(bundleOf(removed))).toBe('ENVELOPE_UNTRUSTED');
});

test('boot media of a farmer who changed keys since are good for no further node', async () => {
  await using directory = await openDirectory();
  const { client } = directory;
  const farm = signEnvelope(
    'farm',
    { grid: GRID, farmer: alice.id, name: 'attic' },
    alice.keys.signing,
  );
  const document = bundleOf(alice.chain);
  const farmId = sha256Hex(untrustedPayload(farm, 'farm'));
  await client.createFarm({ farm, farmer: document });
  const farmer = { ...makeFarmer(), id: alice.id, keys: alice.keys, farmId };
  const media = () => ({ token: makeToken(farmer), farmer: document });
  const [used, unused] = [media(), media()];
  const [first, second] = [makePerson('node'), makePerson('node')];
  const join = async (node: typeof first, token: typeof used): Promise<string> =>
    verdict(client.registerNode({ identity: node.document, offer: makeOffer(node), ...token }));
  expect(await join(first, used)).toBe('taken');
  await client.putIdentity(bundleOf(rotated));
  expect(await join(first, used)).toBe('taken');
  expect(await join(second, unused)).toBe('IDENTITY_OLD');
});
