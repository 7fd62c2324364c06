import { expect, test } from 'vitest';
import { contractDigest, signCancellation } from '../../src/contract/sign.ts';
import type { Contract } from '../../src/contract/spec.ts';
import type { CarriedContract } from '../../src/contract/verify.ts';
import { type Envelope, signEnvelope } from '../../src/identity/envelope.ts';
import { toBase64, utf8 } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { GiB, MINUTE_MS } from '../../src/lib/units.ts';
import { GRID, makePerson, NOW_MS, type Person } from '../support/contracts.ts';
import { joinNode, openDirectory, signingOf, type TestDirectory } from '../support/directory.ts';
import { contractFor, makeFarmer, makeReceipt, HEARTBEAT } from '../support/identity/farm.ts';

type Node = Awaited<ReturnType<typeof joinNode>>;
type Place = { directory: TestDirectory; node: Node; tenant: Person };

const tenant = makePerson('tenant');
const stranger = makePerson('stranger');
const [PROCESSOR, MUCH] = [1000, 4 * GiB];

function changed(carried: CarriedContract, change: (text: string) => string): CarriedContract {
  const text = Buffer.from(carried.contract.payload, 'base64').toString('utf8');
  const payload = toBase64(utf8(change(text)));
  return { ...carried, contract: { ...carried.contract, payload } };
}

function bare(carried: CarriedContract): CarriedContract {
  const signatures = carried.contract.signatures.map(({ keyid }) => ({ keyid, sig: '' }));
  return { ...carried, contract: { ...carried.contract, signatures } };
}

function signedRaw(value: unknown): CarriedContract {
  return {
    contract: signEnvelope('contract', value, tenant.keys.signing),
    tenant: tenant.document,
  };
}

function deep(): CarriedContract {
  let value: unknown = {};
  for (let i = 0; i < 40; i += 1) value = { a: value };
  return signedRaw(value);
}

const REFUSED: [string, (node: Node) => CarriedContract, string, number][] = [
  ['unsigned', (node) => bare(contractFor(tenant, node)), 'ENVELOPE_UNTRUSTED', 403],
  [
    'one altered bit',
    (node) => changed(contractFor(tenant, node), (text) => text.replace('500', '501')),
    'ENVELOPE_UNTRUSTED',
    403,
  ],
  [
    "a stranger's signature",
    (node) => ({ ...contractFor(stranger, node), tenant: tenant.document }),
    'ENVELOPE_UNTRUSTED',
    403,
  ],
  [
    'in the name of another',
    (node) => contractFor(tenant, node, { tenant: stranger.id }),
    'TENANT_MISMATCH',
    403,
  ],
  ['another grid', (node) => contractFor(tenant, node, { grid: 'else' }), 'GRID_FOREIGN', 403],
  [
    'a node that is not here',
    (node) => contractFor(tenant, { ...node, id: 'ee'.repeat(32) }),
    'NODE_UNKNOWN',
    404,
  ],
  [
    'an offer that is not made',
    (node) => contractFor(tenant, { ...node, offerId: 'ee'.repeat(32) }),
    'OFFER_STALE',
    409,
  ],
  ['over already', (node) => contractFor(tenant, node, { notAfterMs: NOW_MS }), 'EXPIRED', 410],
  ['not yet', (node) => contractFor(tenant, node, { notBeforeMs: NOW_MS + 1 }), 'TOO_EARLY', 409],
  [
    'a version out of nothing',
    (node) =>
      contractFor(tenant, node, { id: 'aa'.repeat(32), version: 2, previous: 'aa'.repeat(32) }),
    'VERSION_GAP',
    409,
  ],
  ['nested too deep', deep, 'JSON_TOO_DEEP', 400],
  [
    'an unknown key',
    (node) => signedRaw({ ...payloadOf(contractFor(tenant, node)), more: 1 }),
    'ENVELOPE_MALFORMED',
    400,
  ],
  [
    'an offer in its place',
    () => ({ contract: signEnvelope('offer', {}, tenant.keys.signing), tenant: tenant.document }),
    'ENVELOPE_TYPE',
    400,
  ],
];

function payloadOf(carried: CarriedContract): Contract {
  return JSON.parse(Buffer.from(carried.contract.payload, 'base64').toString('utf8')) as Contract;
}

async function place(): Promise<Place & AsyncDisposable> {
  const directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  return { directory, node, tenant, [Symbol.asyncDispose]: directory[Symbol.asyncDispose] };
}

async function verdict(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome;
    return 'taken';
  } catch (error) {
    return codeOf(error);
  }
}

test.each(REFUSED)('a contract is refused: %s', async (...[, make, code, status]) => {
  await using at = await place();
  const { directory, node } = at;
  const { client, clock } = directory;
  const before = await client.wants(signingOf(node, clock));
  await expect(client.submitContract(make(node))).rejects.toMatchObject({
    code,
    facts: { status },
  });
  expect((await client.contracts()).items).toEqual([]);
  expect((await client.node(node.id)).used.cpuMillis).toBe(0);
  expect(await client.wants(signingOf(node, clock))).toEqual(before);
});

test('no room is said with numbers, in a sentence and as facts', async () => {
  await using at = await place();
  const { directory, node } = at;
  const resources = { cpuMillis: PROCESSOR, memoryBytes: 1.5 * GiB, ssdBytes: 0, hddBytes: 0 };
  await directory.client.submitContract(contractFor(tenant, node, { resources }));
  const outcome = directory.client.submitContract(
    contractFor(tenant, node, { resources: { ...resources, memoryBytes: MUCH } }),
  );
  await expect(outcome).rejects.toMatchObject({
    code: 'NO_ROOM',
    message: expect.stringContaining('asks for 4.0 GiB of memory and 512.0 MiB are free'),
    facts: { status: 409, wanted: { memoryBytes: MUCH }, used: resources },
  });
});

test('what was sent again is known; another of its version, or an older one, is not', async () => {
  await using at = await place();
  const { directory, node } = at;
  const { client } = directory;
  const first = contractFor(tenant, node);
  const digest = contractDigest(first.contract);
  const answer = await client.submitContract(first);
  expect(await client.submitContract(first)).toEqual(answer);
  expect((await client.contracts()).items).toHaveLength(1);
  const next = (changes: Partial<Contract> = {}) =>
    contractFor(tenant, node, { id: digest, version: 2, previous: digest, ...changes });
  expect(await verdict(client.submitContract(next()))).toBe('VERSION_PENDING');
  await client.putReceipt(makeReceipt(node, digest));
  const theirs = {
    ...next(),
    ...contractFor(stranger, node, { id: digest, version: 2, previous: digest }),
  };
  expect(await verdict(client.submitContract(theirs))).toBe('TENANT_MISMATCH');
  expect(await verdict(client.submitContract(next({ previous: 'ab'.repeat(32) })))).toBe(
    'VERSION_GAP',
  );
  const second = next();
  expect(await verdict(client.submitContract(second))).toBe('taken');
  expect(await verdict(client.submitContract(next()))).toBe('VERSION_FORKED');
  const mistaken = makeReceipt(node, digest, { seq: 2, version: 2 });
  expect(await verdict(client.putReceipt(mistaken))).toBe('CONTRACT_UNKNOWN');
  const named = contractDigest(second.contract);
  await client.putReceipt(makeReceipt(node, digest, { seq: 2, version: 2, digest: named }));
  expect(await verdict(client.submitContract(first))).toBe('VERSION_OLD');
});

test('a contract that is over or cancelled does not come back when sent again', async () => {
  await using at = await place();
  const { directory, node } = at;
  const { client, clock, store } = directory;
  const [lapsed, refused, cancelled] = [1, 2, 3].map(() => contractFor(tenant, node));
  if (!lapsed || !refused || !cancelled) throw new Error('three contracts');
  for (const carried of [lapsed, refused, cancelled]) await client.submitContract(carried);
  const id = contractDigest(refused.contract);
  const refusal = { code: 'NO_ROOM', sentence: 'no' };
  await client.putReceipt(makeReceipt(node, id, { state: 'refused', refusal }));
  expect((await client.contract(id)).state).toBe('refused');
  const gone = contractDigest(cancelled.contract);
  await directory.settled();
  await client.cancelContract({ cancellation: cancelling(gone, node), tenant: tenant.document });
  clock.nowMs += MINUTE_MS;
  await store.sweep(clock.nowMs);
  expect((await client.contract(contractDigest(lapsed.contract))).state).toBe('released');
  expect((await client.node(node.id)).used.cpuMillis).toBe(0);
  expect(await verdict(client.submitContract(lapsed))).toBe('CONTRACT_OVER');
  expect(await verdict(client.submitContract(refused))).toBe('CONTRACT_OVER');
  expect(await verdict(client.submitContract(cancelled))).toBe('CONTRACT_CANCELLED');
});

function cancelling(contract: string, node: Node, by: Person = tenant): Envelope {
  const wish = { grid: GRID, contract, tenant: by.id, node: node.id, atMs: NOW_MS };
  return signCancellation(wish, by.keys.signing);
}

test('only its tenant cancels a contract', async () => {
  await using at = await place();
  const { directory, node } = at;
  const { client } = directory;
  const { id } = await client.submitContract(contractFor(tenant, node));
  const foreign = { cancellation: cancelling(id, node, stranger), tenant: stranger.document };
  expect(await verdict(client.cancelContract(foreign))).toBe('TENANT_MISMATCH');
  const unknown = { cancellation: cancelling('aa'.repeat(32), node), tenant: tenant.document };
  expect(await verdict(client.cancelContract(unknown))).toBe('CONTRACT_UNKNOWN');
  expect((await client.contract(id)).state).toBe('reserved');
});

test('an older receipt never replaces a newer one, and no node speaks for another', async () => {
  await using at = await place();
  const { directory, node } = at;
  const { client } = directory;
  const other = await joinNode(directory, makeFarmer('other'), 'other');
  const { id } = await client.submitContract(contractFor(tenant, node));
  const newer = makeReceipt(node, id, { seq: 5, state: 'running' });
  await client.putReceipt(newer);
  expect(await verdict(client.putReceipt(newer))).toBe('taken');
  for (const seq of [4, 5]) {
    const older = makeReceipt(node, id, { seq, state: 'ended' });
    await expect(client.putReceipt(older)).rejects.toMatchObject({
      code: 'RECEIPT_OLD',
      facts: { seq: 5 },
    });
  }
  expect(await verdict(client.putReceipt(makeReceipt(other, id, { seq: 9 })))).toBe('NODE_FOREIGN');
  const forged = makeReceipt({ ...other, id: node.id }, id, { seq: 9 });
  expect(await verdict(client.putReceipt(forged))).toBe('ENVELOPE_UNTRUSTED');
  expect(await verdict(client.putReceipt(makeReceipt(stranger, id)))).toBe('NODE_UNKNOWN');
  expect((await client.contract(id)).receipts).toEqual([newer]);
});

test('an older heartbeat never replaces a newer one', async () => {
  await using at = await place();
  const { directory, node } = at;
  const { client, clock } = directory;
  const beat = (seq: number, by: Person = node) =>
    signEnvelope('heartbeat', { ...HEARTBEAT, node: node.id, seq }, by.keys.signing);
  await client.putHeartbeat(beat(2));
  clock.nowMs += 1000;
  expect(await verdict(client.putHeartbeat(beat(1)))).toBe('HEARTBEAT_OLD');
  expect(await verdict(client.putHeartbeat(beat(2)))).toBe('HEARTBEAT_OLD');
  expect(await verdict(client.putHeartbeat(beat(3, stranger)))).toBe('ENVELOPE_UNTRUSTED');
  const seen = (await client.node(node.id)).heartbeat;
  expect(seen).toMatchObject({ lastSeenMs: NOW_MS, payload: { seq: 2 }, envelope: beat(2) });
});
