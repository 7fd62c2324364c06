import { mkdtempSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { signCancellation, contractDigest } from '../../src/contract/sign.ts';
import type { Contract } from '../../src/contract/spec.ts';
import { openContractStore } from '../../src/contract/store.ts';
import type { CarriedContract } from '../../src/contract/verify.ts';
import type { Wants } from '../../src/contract/wants.ts';
import { toBase64, utf8 } from '../../src/lib/bytes.ts';
import { GiB, HOUR_MS, MiB } from '../../src/lib/units.ts';
import { type Envelope, payloadTypeOf } from '../../src/identity/envelope.ts';
import { changeIdentity } from '../../src/identity/operation.ts';
import type { Holdings } from '../../src/node/holdings.ts';
import { znetIdOf } from '../../src/znet/address.ts';
import { carry, GRID, makeContract, makePerson, NODE_ID, NOW_MS } from '../support/contracts.ts';
import { makeReceipt } from '../support/identity/farm.ts';
import { keysFrom, makeOwner } from '../support/identity/people.ts';
import { History } from '../support/hostile/history.ts';
import { openTestHoldings } from '../support/node/holdings.ts';

const folders: string[] = [];
afterAll(async () => {
  await Promise.all(folders.map(async (path) => rm(path, { recursive: true })));
});

async function openFolder(folder = mkdtempSync(join(tmpdir(), 'zos-holdings-'))) {
  folders.push(folder);
  folders.push(`${folder}-record`);
  const store = await openContractStore(folder);
  const { holdings, bad } = await openTestHoldings({ store, recordFolder: `${folder}-record` });
  return { folder, holdings, bad };
}

/** Wants whose contracts stand on a record, whatever else is wrong with them. */
function wantsOf({ contracts = [], ...wants }: Partial<Wants>): Wants {
  const history = new History();
  const placed = contracts.map((carried, at) => {
    const to = { node: NODE_ID, seq: at + 1 };
    const digest = contractDigest(carried.contract);
    const payloadType = payloadTypeOf('contract');
    return {
      ...carried,
      seq: at + 1,
      proof: history.proof(history.add({ payloadType, digest, to })),
    };
  });
  const none = { cancellations: [], peers: [], questions: [] };
  return { revision: 1, contracts: placed, ...none, ...wants };
}

const tenant = makePerson('tenant');
const stranger = makePerson('stranger');
const good = carry(tenant, makeContract(tenant));
const goodId = contractDigest(good.contract);

function second(changes: Partial<Contract> = {}): CarriedContract {
  const next = { id: goodId, version: 2, previous: goodId, ...changes };
  return carry(tenant, makeContract(tenant, next));
}

function third(changes: Partial<Contract> = {}): CarriedContract {
  return second({ version: 3, previous: contractDigest(second().contract), ...changes });
}

function fresh(digit: string): CarriedContract {
  return carry(tenant, makeContract(tenant, { nonce: digit.repeat(32) }));
}

function altered({ contract, tenant: signer }: CarriedContract): CarriedContract {
  const text = Buffer.from(contract.payload, 'base64').toString();
  const payload = toBase64(utf8(text.replace('"cpuMillis":500', '"cpuMillis":501')));
  return { contract: { ...contract, payload }, tenant: signer };
}

function unsigned({ contract, tenant: signer }: CarriedContract): CarriedContract {
  const signatures = contract.signatures.map((signature) => ({
    ...signature,
    sig: toBase64(new Uint8Array(64)),
  }));
  return { contract: { ...contract, signatures }, tenant: signer };
}

const tooBig = { cpuMillis: 500, memoryBytes: 3 * GiB, ssdBytes: 8 * MiB, hddBytes: 0 };
const BAD: readonly (readonly [string, CarriedContract])[] = [
  ['ENVELOPE_UNTRUSTED', unsigned(fresh('1'))],
  ['ENVELOPE_UNTRUSTED', altered(fresh('2'))],
  ['ENVELOPE_UNTRUSTED', { ...fresh('6'), tenant: stranger.document }],
  ['TENANT_MISMATCH', carry(stranger, makeContract(tenant, { nonce: '3'.repeat(32) }))],
  ['EXPIRED', carry(tenant, makeContract(tenant, { notAfterMs: NOW_MS }))],
  ['TOO_EARLY', carry(tenant, makeContract(tenant, { notBeforeMs: NOW_MS + 1 }))],
  ['NODE_FOREIGN', carry(tenant, makeContract(tenant, { node: 'ee'.repeat(32) }))],
  ['GRID_FOREIGN', carry(tenant, makeContract(tenant, { grid: 'other' }))],
  ['OFFER_STALE', carry(tenant, makeContract(tenant, { offer: 'ee'.repeat(32) }))],
  ['NO_ROOM', carry(tenant, makeContract(tenant, { resources: tooBig }))],
  ['VERSION_GAP', second({ version: 3 })],
];

function codesOf({ refused }: Holdings): readonly string[] {
  return [...refused.values()].map(({ code }) => code);
}

test.each(BAD)(
  'a contract that fails with %s is refused, changes nothing and holds up no other',
  async (code, carried) => {
    const { folder, holdings } = await openFolder();
    await holdings.take(wantsOf({ contracts: [good] }), NOW_MS);
    const before = await readdir(folder);
    const later = fresh('9');
    await holdings.take(wantsOf({ contracts: [carried, good, later] }), NOW_MS);
    expect(codesOf(holdings)).toEqual([code]);
    expect([...holdings.held.keys()]).toEqual([goodId, contractDigest(later.contract)]);
    expect(await readdir(folder)).toHaveLength(before.length + 1);
  },
);

test('what requires a higher class than this boot has is refused, whatever the directory says', async () => {
  const { holdings } = await openFolder();
  const high = carry(tenant, makeContract(tenant, { requires: 'attested' }));
  await holdings.take(wantsOf({ contracts: [high] }), NOW_MS);
  expect([...holdings.held.values()]).toEqual([]);
  expect([...holdings.refused.values()]).toMatchObject([{ code: 'CLASS_TOO_LOW' }]);
});

test('an older version, and another of the same number, are refused', async () => {
  const { holdings } = await openFolder();
  for (const each of [good, second(), third()]) {
    await holdings.take(wantsOf({ contracts: [each] }), NOW_MS);
  }
  expect(holdings.held.get(goodId)?.version).toBe(3);
  const fork = third({ nonce: '5'.repeat(32) });
  await holdings.take(wantsOf({ contracts: [good, fork] }), NOW_MS);
  expect(codesOf(holdings)).toEqual(['VERSION_OLD', 'VERSION_FORKED']);
  expect(holdings.held.get(goodId)?.digest).toBe(contractDigest(third().contract));
});

test('the version that the held one grew out of may still be listed, and is not refused', async () => {
  const { holdings } = await openFolder();
  const next = second();
  await holdings.take(wantsOf({ contracts: [good, next] }), NOW_MS);
  await holdings.take(wantsOf({ contracts: [good, next] }), NOW_MS);
  expect(codesOf(holdings)).toEqual([]);
  expect(holdings.held.get(goodId)?.digest).toBe(contractDigest(next.contract));
});

test('what nobody is known to have signed is named by its own hash', async () => {
  const { holdings } = await openFolder();
  await holdings.take(wantsOf({ contracts: [good] }), NOW_MS);
  const forged = altered(second());
  await holdings.take(wantsOf({ contracts: [forged] }), NOW_MS);
  expect([...holdings.refused.values()]).toMatchObject([
    { contract: contractDigest(forged.contract), version: 1 },
  ]);
});

test('a restart finds what was accepted, without the directory', async () => {
  const first = await openFolder();
  await first.holdings.take(wantsOf({ contracts: [good] }), NOW_MS);
  await first.holdings.take(wantsOf({ contracts: [second()] }), NOW_MS);
  const again = await openFolder(first.folder);
  expect(again.holdings.held.get(goodId)?.version).toBe(2);
  // Not being in what the directory sends ends nothing.
  await again.holdings.take(wantsOf({}), NOW_MS);
  expect(again.holdings.held.size).toBe(1);
});

test('whoever writes the disk gains nothing: each stored thing is checked again', async () => {
  const { folder } = await openFolder();
  const carriedTo = { node: 'ee'.repeat(32) };
  const planted = [
    altered(good),
    unsigned(good),
    { contract: good.contract, tenant: stranger.document },
    carry(tenant, makeContract(tenant, carriedTo)),
    carry(tenant, makeContract(tenant, { grid: 'other' })),
  ];
  await Promise.all(
    planted.map(async ({ contract, tenant: signer }, index) => {
      const name = `contract-${String(index).repeat(64)}.json`;
      await writeFile(join(folder, name), JSON.stringify({ signed: contract, signer }));
    }),
  );
  await writeFile(join(folder, `contract-${'f'.repeat(64)}.json`), '{');
  const { holdings, bad } = await openFolder(folder);
  expect(holdings.held.size).toBe(0);
  expect(bad).toHaveLength(planted.length + 1);
});

test('a stored contract that is past its end is ended when the clock can be trusted', async () => {
  const first = await openFolder();
  await first.holdings.take(wantsOf({ contracts: [good] }), NOW_MS);
  const { holdings } = await openFolder(first.folder);
  holdings.expire(NOW_MS + HOUR_MS - 1);
  expect(holdings.held.size).toBe(1);
  holdings.expire(NOW_MS + HOUR_MS);
  expect(holdings.held.size).toBe(0);
  expect([...holdings.ended.keys()]).toEqual([goodId]);
  await holdings.forget(goodId);
  expect((await openFolder(first.folder)).holdings.held.size).toBe(0);
});

function cancel(signer: typeof tenant, changes: Record<string, unknown> = {}) {
  const said = { grid: GRID, contract: goodId, tenant: signer.id, node: NODE_ID, atMs: NOW_MS };
  const cancellation = signCancellation({ ...said, ...changes }, signer.keys.signing);
  return { cancellation, tenant: signer.document };
}

test('its tenant ends a contract for good; a stranger, or for another node, nobody does', async () => {
  const { folder, holdings } = await openFolder();
  await holdings.take(wantsOf({ contracts: [good] }), NOW_MS);
  const others = [cancel(stranger), cancel(tenant, { node: 'ee'.repeat(32) })];
  await holdings.take(wantsOf({ cancellations: others }), NOW_MS);
  expect(holdings.held.size).toBe(1);
  await holdings.take(wantsOf({ cancellations: [cancel(tenant)] }), NOW_MS);
  expect(holdings.held.size).toBe(0);
  expect([...holdings.ended.keys()]).toEqual([goodId]);
  // Before it could tell the directory, the node lost its power: it still knows.
  const again = await openFolder(folder);
  expect([...again.holdings.ended.keys()]).toEqual([goodId]);
  await again.holdings.forget(goodId);
  // Sent again later, it stays ended.
  await again.holdings.take(wantsOf({ contracts: [good] }), NOW_MS);
  expect(again.holdings.held.size).toBe(0);
  expect(codesOf(again.holdings)).toEqual([]);
});

const END = { port: 51820, addresses: ['192.0.2.9'] };
const keyOf = (fill: number) => Buffer.alloc(32, fill).toString('base64');

test("a peer's key counts by its own signature and a contract that names it, the newest", async () => {
  const peer = makePerson('peer');
  const workloads: Contract['workloads'] = [
    { kind: 'znet', name: 'net', peers: [{ node: peer.id }] },
  ];
  const carried = carry(tenant, makeContract(tenant, { workloads }));
  const znet = znetIdOf(tenant.id, 'net');
  const told = (by: typeof peer, seq: number, fill: number) => ({
    receipt: makeReceipt(by, 'ab'.repeat(32), {
      seq,
      znetEnds: [{ znet, publicKey: keyOf(fill), ...END }],
    }),
    node: by.document,
  });
  const { folder, holdings } = await openFolder();
  await holdings.take(wantsOf({ contracts: [carried], peers: [told(stranger, 9, 1)] }), NOW_MS);
  expect(holdings.peers.endOf(stranger.id, znet)).toBeUndefined();
  await holdings.take(wantsOf({ peers: [told(peer, 5, 2)] }), NOW_MS);
  expect(holdings.peers.endOf(peer.id, znet)?.publicKey).toBe(keyOf(2));
  await holdings.take(wantsOf({ peers: [told(peer, 4, 3)] }), NOW_MS);
  expect(holdings.peers.endOf(peer.id, znet)?.publicKey).toBe(keyOf(2));
  const forged = { receipt: told(stranger, 8, 4).receipt, node: peer.document };
  await holdings.take(wantsOf({ peers: [forged] }), NOW_MS);
  expect(holdings.peers.endOf(peer.id, znet)?.publicKey).toBe(keyOf(2));
  const again = await openFolder(folder);
  expect(again.holdings.peers.endOf(peer.id, znet)?.publicKey).toBe(keyOf(2));
});

test('a contract under replaced keys is refused where newer ones are known, restarted too', async () => {
  const owner = makeOwner('alice');
  const next = keysFrom('alice next');
  const signingKeys = [toBase64(next.signing.publicKey)];
  const chain = changeIdentity(owner.chain, { signingKeys }, owner.keys.rotation);
  const before = { id: owner.id, keys: owner.keys, document: owner.chain[0] as Envelope };
  const after = { ...before, keys: next, document: { chain } as unknown as Envelope };
  const { holdings, folder } = await openFolder();
  const fresh = carry(after, makeContract(after, { nonce: '1'.repeat(32), workloads: [] }));
  await holdings.take(wantsOf({ contracts: [fresh] }), NOW_MS);
  const stale = carry(before, makeContract(before, { nonce: '2'.repeat(32), workloads: [] }));
  for (const each of [holdings, (await openFolder(folder)).holdings]) {
    await each.take(wantsOf({ contracts: [fresh, stale] }), NOW_MS);
    expect([...each.held.values()].map(({ nonce }) => nonce)).toEqual(['1'.repeat(32)]);
    expect([...each.refused.values()].map(({ code }) => code)).toEqual(['IDENTITY_OLD']);
  }
});
