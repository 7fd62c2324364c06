import { mkdtempSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { contractDigest, signCancellation } from '../../../src/contract/sign.ts';
import { openContractStore } from '../../../src/contract/store.ts';
import type { CarriedContract } from '../../../src/contract/verify.ts';
import type { Wants } from '../../../src/contract/wants.ts';
import {
  type Envelope,
  type PayloadKind,
  payloadTypeOf,
  untrustedPayload,
} from '../../../src/identity/envelope.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import { type Addressee, type Entry, entryOf, formatEntry } from '../../../src/record/entry.ts';
import { carry, GRID, makeContract, makePerson, NODE_ID, NOW_MS } from '../../support/contracts.ts';
import { freshNonce } from '../../support/identity/farm.ts';
import { History } from '../../support/hostile/history.ts';
import { WITNESSES } from '../../support/record/signers.ts';
import { openTestHoldings } from '../../support/node/holdings.ts';

const folders: string[] = [];
afterAll(async () => {
  await Promise.all(folders.map(async (path) => rm(path, { recursive: true, force: true })));
});

async function openNode(folder = mkdtempSync(join(tmpdir(), 'zos-places-'))) {
  folders.push(folder);
  const store = await openContractStore(`${folder}/contracts`);
  const opened = await openTestHoldings({ store, recordFolder: `${folder}/record` });
  const { holdings, watch, bad } = opened;
  const codes = (): string[] => [...holdings.refused.values()].map(({ code }) => code);
  return { folder, holdings, watch, bad, codes };
}

const tenant = makePerson('tenant');
const fresh = (): CarriedContract =>
  carry(tenant, makeContract(tenant, { nonce: freshNonce(), resources: SMALL, workloads: [] }));
const SMALL = { cpuMillis: 1, memoryBytes: 1, ssdBytes: 1, hddBytes: 0 };

function wantsOf(wants: Partial<Wants>): Wants {
  return { revision: 1, contracts: [], cancellations: [], peers: [], questions: [], ...wants };
}

function entryFor(kind: PayloadKind, signed: Envelope, to: Addressee): Entry {
  return entryOf(payloadTypeOf(kind), untrustedPayload(signed, kind), to);
}

/** A contract with the next number and its proof, as a directory carries it. */
function recorded(history = new History(), carried = fresh()) {
  const seq = history.size + 1;
  const to = { node: NODE_ID, seq };
  const index = history.add(entryFor('contract', carried.contract, to));
  return { ...carried, seq, proof: history.proof(index) };
}

function cancellationOf(contract: Envelope) {
  const id = contractDigest(contract);
  const said = { grid: GRID, contract: id, tenant: tenant.id, node: NODE_ID, atMs: NOW_MS };
  const cancellation = signCancellation(said, tenant.keys.signing);
  return { cancellation, tenant: tenant.document };
}

test('a contract with its proof is taken, and its number is counted', async () => {
  const record = new History();
  const { holdings, watch } = await openNode();
  await holdings.take(wantsOf({ contracts: [recorded(record), recorded(record)] }), NOW_MS);
  expect(holdings.held.size).toBe(2);
  expect(watch.seen()).toMatchObject({ seq: 2, alarm: null });
});

test('no proof, no contract', async () => {
  const { holdings, codes } = await openNode();
  await holdings.take(wantsOf({ contracts: [{ ...recorded(), proof: null }] }), NOW_MS);
  expect(holdings.held.size).toBe(0);
  expect(codes()).toEqual(['NOT_RECORDED']);
});

const history = new History();
const one = recorded(history);
const two = recorded(history);
const few = history.proof(0, 2, WITNESSES.slice(0, 1));
const FALSE: readonly (readonly [string, string, Partial<Wants['contracts'][number]>])[] = [
  ['another contract’s', 'INCLUSION_INVALID', { proof: two.proof }],
  ['another number’s', 'INCLUSION_INVALID', { seq: 2 }],
  ['one of too few witnesses', 'QUORUM_MISSING', { proof: few }],
  ['no', 'PROOF_MALFORMED', { proof: 'AAAA' }],
];

test.each(FALSE)('a contract with %s proof is refused with %s', async (_what, code, changes) => {
  const { holdings, codes } = await openNode();
  await holdings.take(wantsOf({ contracts: [{ ...one, ...changes }] }), NOW_MS);
  expect(holdings.held.size).toBe(0);
  expect(codes()).toEqual([code]);
});

test('a place that is another node’s is none here', async () => {
  const { holdings, codes } = await openNode();
  const contract = fresh();
  const elsewhere = new History();
  elsewhere.add(entryFor('contract', contract.contract, { node: 'ee'.repeat(32), seq: 1 }));
  const carried = { ...contract, seq: 1, proof: elsewhere.proof(0) };
  await holdings.take(wantsOf({ contracts: [carried] }), NOW_MS);
  expect(codes()).toEqual(['INCLUSION_INVALID']);
});

test('stored proofs are checked at every start', async () => {
  const { folder, holdings } = await openNode();
  const kept = recorded();
  await holdings.take(wantsOf({ contracts: [kept] }), NOW_MS);
  expect((await openNode(folder)).holdings.held.size).toBe(1);
  const [name = ''] = await readdir(`${folder}/contracts`);
  const path = `${folder}/contracts/${name}`;
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('"seq":1', '"seq":2'));
  const again = await openNode(folder);
  expect(again.holdings.held.size).toBe(0);
  expect(again.bad).toHaveLength(1);
});

test('a cancellation that is kept back shows as soon as anything later comes', async () => {
  const record = new History();
  const { holdings, watch } = await openNode();
  const first = recorded(record);
  await holdings.take(wantsOf({ contracts: [first] }), NOW_MS);
  const ending = cancellationOf(first.contract);
  const place = { node: NODE_ID, seq: 2 };
  record.add(entryFor('cancellation', ending.cancellation, place));
  const later = recorded(record);
  await holdings.take(wantsOf({ contracts: [first, later] }), NOW_MS);
  expect(watch.seen()).toMatchObject({ seq: 1, alarm: { code: 'ENTRY_WITHHELD' } });
  // Nothing new is taken, and what is held stays.
  expect([...holdings.held.keys()]).toEqual([contractDigest(first.contract)]);
  // To say that it only passed by is no way out.
  const entry = textOf(formatEntry(entryFor('cancellation', ending.cancellation, place)));
  const passed = [{ entry, proof: record.proof(1) }];
  await holdings.take(wantsOf({ contracts: [first, later], passed }), NOW_MS);
  expect(watch.seen()).toMatchObject({ seq: 1, alarm: { code: 'ENTRY_WITHHELD' } });
  // Handed over by whomever, it is obeyed, and then it counts.
  await holdings.cancel(ending, NOW_MS);
  expect(holdings.held.size).toBe(0);
  await holdings.take(wantsOf({ contracts: [later], passed }), NOW_MS);
  expect(watch.seen()).toMatchObject({ seq: 3, alarm: null });
  expect([...holdings.held.keys()]).toEqual([contractDigest(later.contract)]);
});

test('a version that passed by counts, and another node’s entry does not', async () => {
  const record = new History();
  const { holdings, watch, bad } = await openNode();
  const gone = recorded(record);
  const here = recorded(record);
  const entry = textOf(formatEntry(entryFor('contract', gone.contract, { node: NODE_ID, seq: 1 })));
  const foreign = entry.replace(NODE_ID, 'ee'.repeat(32));
  const proof = record.proof(0);
  await holdings.take(wantsOf({ passed: [{ entry: foreign, proof }] }), NOW_MS);
  expect(bad).toEqual(['entry of the record']);
  await holdings.take(wantsOf({ contracts: [here], passed: [{ entry, proof }] }), NOW_MS);
  expect(watch.seen()).toMatchObject({ seq: 2, alarm: null });
});
