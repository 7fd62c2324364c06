import { FREE } from '../../src/capacity/price.ts';
import { expect, test } from 'vitest';
import { listNodes, openBooks } from '../../src/bot/grid.ts';
import type { Contract } from '../../src/contract/spec.ts';
import { contractDigest, signContract } from '../../src/contract/sign.ts';
import { signIdentity, verifyIdentity } from '../../src/identity/document.ts';
import { type Envelope, signEnvelope } from '../../src/identity/envelope.ts';
import { makeSecretKeys } from '../../src/identity/keys.ts';
import type { ContractAnswer, NodeAnswer } from '../../src/sdk/api.ts';
import type { Client } from '../../src/sdk/client.ts';

const GRID = 'test';
const NOW_MS = 1_800_000_000_000;
const HOUR = 3_600_000;

function someone(name: string) {
  const keys = makeSecretKeys();
  const document = signIdentity(name, keys);
  return { keys, document, id: verifyIdentity(document).id };
}
type Someone = ReturnType<typeof someone>;

const [alice, mallory, node] = [someone('alice'), someone('mallory'), someone('node')];

function offerOf(signer: Someone, cru = 2): Envelope {
  const capacity = { cru, mruBytes: 1, sruBytes: 1, hruBytes: 0 };
  const hardware = { board: '', processor: '', networkCards: [], disks: [] };
  const offer = {
    grid: GRID,
    node: node.id,
    version: 1,
    capacity,
    class: 'unverified',
    prices: FREE,
    endorsement: null,
    hardware,
  };
  return signEnvelope('offer', offer, signer.keys.signing);
}

function heartbeatOf(signer: Someone, atMs = NOW_MS): NodeAnswer['heartbeat'] {
  const payload = {
    grid: GRID,
    node: node.id,
    seq: 1,
    atMs,
    bootId: 'b',
    uptimeMs: 1,
    system: null,
    memory: { totalBytes: 1, availableBytes: 1 },
    addresses: [],
    stages: [],
    keyKept: 'memory' as const,
    agentStarts: 1,
  };
  const envelope = signEnvelope('heartbeat', payload, signer.keys.signing);
  return { lastSeenMs: NOW_MS, envelope, payload };
}

function nodeSaid(over: Partial<NodeAnswer> = {}): NodeAnswer {
  return {
    id: node.id,
    state: 'joined',
    farm: null,
    location: null,
    identity: node.document,
    offer: offerOf(node),
    offerId: 'ff'.repeat(32),
    capacity: { cru: 999, mruBytes: 999, sruBytes: 999, hruBytes: 999 },
    used: { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 },
    proof: null,
    uptime: null,
    measured: null,
    heartbeat: heartbeatOf(node),
    ...over,
  };
}

async function listed(over: Partial<NodeAnswer> = {}): ReturnType<typeof listNodes> {
  const client = {
    nodes: async () => ({ items: [nodeSaid(over)], next: null }),
  } as unknown as Client;
  return listNodes({ client, name: GRID, url: '' }, NOW_MS);
}

test('of a node its own signed words count, whatever the directory says beside them', async () => {
  const { known, doubtful } = await listed();
  expect(doubtful).toEqual([]);
  expect(known).toMatchObject([{ isOnline: true, offer: { capacity: { cru: 2 } } }]);
  expect(known[0]?.offer.id).not.toBe('ff'.repeat(32));
});

test.each([
  ['an identity of somebody else', { identity: mallory.document }, 'IDENTITY_MISMATCH'],
  ['an offer that the node never signed', { offer: offerOf(mallory, 64) }, 'ENVELOPE_UNTRUSTED'],
  ['a heartbeat of another key', { heartbeat: heartbeatOf(mallory) }, 'ENVELOPE_UNTRUSTED'],
])('a node with %s is shown as doubtful and never used', async (_name, over, code) => {
  expect(await listed(over)).toEqual({ known: [], doubtful: [{ id: node.id, code }] });
});

test('a node that was not heard of for three minutes is offline', async () => {
  const { known } = await listed({ heartbeat: heartbeatOf(node, NOW_MS - 181_000) });
  expect(known).toMatchObject([{ isOnline: false }]);
});

const FIRST: Contract = {
  grid: GRID,
  id: null,
  version: 1,
  previous: null,
  tenant: alice.id,
  node: node.id,
  offer: '0f'.repeat(32),
  nonce: '00'.repeat(16),
  body: null,
  workloads: [],
  notBeforeMs: NOW_MS,
  notAfterMs: NOW_MS + HOUR,
  requires: 'unverified',
  price: FREE,
  resources: { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 },
};
const first = signContract(FIRST, alice.keys.signing);
const id = contractDigest(first);

function receiptOf(signer: Someone, over: Record<string, unknown> = {}): Envelope {
  const none = { workloads: [], znetEnds: [] };
  const about = { contract: id, version: 1, digest: id, state: 'running', ...none };
  const receipt = { grid: GRID, node: node.id, seq: 1, atMs: NOW_MS, ...about, ...over };
  return signEnvelope('receipt', receipt, signer.keys.signing);
}

function versionOf(
  contract: Envelope,
  version = 1,
  tenant = alice,
): ContractAnswer['versions'][number] {
  const digest = contractDigest(contract);
  const whole = { body: 'none', erasure: null, tenant: tenant.document } as const;
  return { version, digest, state: 'held', contract, ...whole };
}

async function read(over: Partial<ContractAnswer>) {
  const said: ContractAnswer = {
    id,
    tenant: alice.id,
    node: node.id,
    state: 'running',
    version: 1,
    reservedUntilMs: null,
    notAfterMs: NOW_MS + HOUR,
    resources: FIRST.resources,
    versions: [versionOf(first)],
    cancellation: null,
    receipts: [receiptOf(node)],
    ...over,
  };
  const client = { contract: async () => said, node: async () => nodeSaid() };
  const grid = { client: client as unknown as Client, name: GRID, url: '' };
  const [contract] = await openBooks(grid, alice.id).contracts([id]);
  return contract;
}

test('a contract is read with the newest word of its node', async () => {
  const receipts = [receiptOf(node, { seq: 2, state: 'ended' }), receiptOf(node)];
  expect(await read({ receipts })).toMatchObject({
    contract: { id, version: 1 },
    receipt: { seq: 2, state: 'ended' },
  });
});

test('a receipt that its node did not sign is refused', async () => {
  await expect(read({ receipts: [receiptOf(mallory)] })).rejects.toMatchObject({
    code: 'ENVELOPE_UNTRUSTED',
  });
});

test('a receipt about another contract says nothing about this one', async () => {
  const receipts = [receiptOf(node, { contract: 'ab'.repeat(32) })];
  expect(await read({ receipts })).toMatchObject({ receipt: null });
});

test('a later version that somebody else signed is refused, though it claims the id', async () => {
  const forged = signContract(
    { ...FIRST, tenant: mallory.id, id, version: 2, previous: id },
    mallory.keys.signing,
  );
  const byMallory = [versionOf(first), versionOf(forged, 2, mallory)];
  await expect(read({ versions: byMallory })).rejects.toMatchObject({ code: 'IDENTITY_MISMATCH' });
  const versions = [versionOf(first), versionOf(forged, 2)];
  await expect(read({ versions })).rejects.toMatchObject({ code: 'ENVELOPE_UNTRUSTED' });
});

test('another contract of the same tenant does not pass for this one', async () => {
  const other = signContract({ ...FIRST, nonce: '11'.repeat(16) }, alice.keys.signing);
  await expect(read({ versions: [versionOf(other)] })).rejects.toMatchObject({
    code: 'CONTRACT_UNKNOWN',
  });
});
