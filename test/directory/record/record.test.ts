import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { contractDigest, signCancellation } from '../../../src/contract/sign.ts';
import { openLogKey } from '../../../src/directory/keys.ts';
import { policyOf } from '../../../src/directory/record/policy.ts';
import { fetchBytes } from '../../../src/host/http.ts';
import { signEnvelope, untrustedPayload } from '../../../src/identity/envelope.ts';
import { fromBase64, textOf, utf8 } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { GiB, HOUR_MS } from '../../../src/lib/units.ts';
import { entryOf, formatEntry, leafHashOf, parseEntry } from '../../../src/record/entry.ts';
import { noteKeyOf } from '../../../src/record/note.ts';
import { decodeBundle } from '../../../src/record/tile.ts';
import { parseTlogProof } from '../../../src/record/tlog-proof.ts';
import { leafHash } from '../../../src/record/tree.ts';
import { verifyCheckpoint, verifyGrowth, verifyTlogProof } from '../../../src/record/verify.ts';
import { GRID, makePerson, NOW_MS } from '../../support/contracts.ts';
import {
  contractFor,
  joinNode,
  makeFarmer,
  openDirectory,
  signingOf,
  type TestDirectory,
} from '../../support/directory.ts';
import { verdict, WITNESSES } from '../../support/record/signers.ts';
import { openWitness, type WitnessServer } from '../../support/record/witness-server.ts';

const tenant = makePerson('tenant');
const ROOT = 'A'.repeat(43) + '=';
const HEARTBEAT = {
  grid: GRID,
  atMs: NOW_MS,
  bootId: 'boot',
  uptimeMs: HOUR_MS,
  memory: { totalBytes: GiB, availableBytes: GiB },
  system: null,
  addresses: [],
  stages: [],
  keyKept: 'memory',
  agentStarts: 1,
};

type Setting = { readonly folder: string; readonly witnesses: readonly WitnessServer[] };

/** A folder that a directory may be opened in again, and three witnesses that watch its log. */
async function openSetting(): Promise<Setting> {
  const folder = mkdtempSync(join(tmpdir(), 'zos-record-'));
  const { name, publicKey } = openLogKey(folder, GRID);
  const key = noteKeyOf(name, 'ed25519', publicKey);
  const witnesses = await Promise.all(WITNESSES.map(async (signer) => openWitness(signer, key)));
  onTestFinished(async () => {
    for (const witness of witnesses) await witness[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  return { folder, witnesses };
}

async function openIn({ folder, witnesses }: Setting): Promise<TestDirectory> {
  const directory = await openDirectory({ folder, witnesses: witnesses.map(({ wish }) => wish) });
  await directory.record.seen;
  return directory;
}

/** Joins a node to a directory, and closes it again. */
async function joinOnce(open: () => Promise<TestDirectory>) {
  await using directory = await open();
  const node = await joinNode(directory, makeFarmer());
  await directory.settled();
  return node;
}

async function submit(directory: TestDirectory, node: { id: string; offerId: string }) {
  const carried = contractFor(tenant, node);
  await directory.client.submitContract(carried);
  return { ...carried, digest: contractDigest(carried.contract) };
}

async function get(directory: TestDirectory, path: string): Promise<Uint8Array> {
  return fetchBytes({ url: `${directory.url}/record/${path}` });
}

function bytesOf(text: string | null | undefined): Uint8Array {
  return fromBase64(text ?? '') ?? new Uint8Array();
}

test('a contract reaches its node with its place on the record, proven to the witnesses’ head', async () => {
  const setting = await openSetting();
  await using directory = await openIn(setting);
  const node = await joinNode(directory, makeFarmer());
  const first = await submit(directory, node);
  const second = await submit(directory, node);
  const wants = await directory.client.wants(signingOf(node, directory.clock));
  expect(wants?.contracts.map(({ seq }) => seq)).toEqual([1, 2]);
  const policy = policyOf(textOf(await get(directory, 'policy')));
  for (const [at, { contract }] of [first, second].entries()) {
    const payload = untrustedPayload(contract, 'contract');
    const entry = entryOf(contract.payloadType, payload, { node: node.id, seq: at + 1 });
    const proof = bytesOf(wants?.contracts[at]?.proof);
    expect(verdict(() => verifyTlogProof(proof, leafHashOf(entry), policy))).toBe('holds');
    const other = { ...entry, to: { node: node.id, seq: 9 } };
    expect(verdict(() => verifyTlogProof(proof, leafHashOf(other), policy))).toBe(
      'INCLUSION_INVALID',
    );
  }
});

test('everything that was signed is on the record once, and everybody can check all of it', async () => {
  const setting = await openSetting();
  await using directory = await openIn(setting);
  const farmer = makeFarmer();
  const node = await joinNode(directory, farmer);
  const { contract, digest } = await submit(directory, node);
  await directory.client.submitContract({ contract, tenant: tenant.document });
  await directory.client.putIdentity(farmer.document);
  await directory.settled();
  const policy = policyOf(textOf(await get(directory, 'policy')));
  const { head } = verifyCheckpoint(await get(directory, 'checkpoint'), policy);
  const bundle = await get(directory, `tile/entries/000.p/${head.size}`);
  const entries = decodeBundle(bundle, head.size).map((bytes) => parseEntry(bytes));
  const kinds = entries.map(({ payloadType }) => payloadType.split('.')[2]);
  // Farmer, farm, node, its offer; then the tenant and the contract.
  expect(kinds).toEqual(['identity', 'farm', 'identity', 'offer', 'identity', 'contract']);
  const tile = await get(directory, `tile/0/000.p/${head.size}`);
  for (const [at, entry] of entries.entries()) {
    expect(tile.slice(at * 32, at * 32 + 32)).toEqual(leafHashOf(entry));
    const proof = await get(directory, `proof/${entry.digest}`);
    const { extra = new Uint8Array() } = parseTlogProof(proof);
    expect(extra).toEqual(formatEntry(entry));
    expect(verdict(() => verifyTlogProof(proof, leafHash(extra), policy))).toBe('holds');
    const envelope = JSON.parse(textOf(await get(directory, `envelope/${entry.digest}`))) as {
      payload: string;
    };
    expect(entryOf(entry.payloadType, bytesOf(envelope.payload)).digest).toBe(entry.digest);
  }
  expect(entries.at(-1)?.digest).toBe(digest);
});

test('what nobody has seen yet reaches no node, but a cancellation does at once', async () => {
  const setting = await openSetting();
  await using directory = await openIn(setting);
  const node = await joinNode(directory, makeFarmer());
  const { digest } = await submit(directory, node);
  await directory.settled();
  for (const witness of setting.witnesses) witness.mood = 503;
  await submit(directory, node);
  const cancellation = signCancellation(
    { grid: GRID, tenant: tenant.id, node: node.id, contract: digest, atMs: NOW_MS },
    tenant.keys.signing,
  );
  await directory.client.cancelContract({ cancellation, tenant: tenant.document });
  const before = await directory.store.wants(node.id, directory.clock.nowMs);
  expect(before?.contracts).toEqual([]);
  expect(before?.cancellations).toMatchObject([{ cancellation, seq: 3, proof: null }]);
  // Of the first contract nothing is left to do, and its number is shown all the same.
  expect(before?.passed?.map(({ entry }) => parseEntry(utf8(entry)).to?.seq)).toEqual([1]);
  for (const witness of setting.witnesses) witness.mood = 'good';
  const after = await directory.client.wants(signingOf(node, directory.clock));
  expect(after?.contracts.map(({ seq }) => seq)).toEqual([2]);
  expect(after?.cancellations[0]?.proof).toEqual(expect.any(String));
  expect(after?.revision).toBeGreaterThan(before?.revision ?? 0);
});

test('a heartbeat that names a head is answered with a newer one that grew out of it', async () => {
  const setting = await openSetting();
  await using directory = await openIn(setting);
  const node = await joinNode(directory, makeFarmer());
  const policy = policyOf(directory.record.policy);
  let seen = { size: 0, checkpoint: '' };
  for (let seq = 1; seq <= 4; seq += 1) {
    await submit(directory, node);
    await directory.settled();
    const { size } = seen;
    const { record } = await directory.client.putHeartbeat(
      signEnvelope(
        'heartbeat',
        {
          ...HEARTBEAT,
          node: node.id,
          seq,
          record: { size, root: ROOT, seq: seq - 1, alarm: null },
        },
        node.keys.signing,
      ),
    );
    const newer = verifyCheckpoint(utf8(record?.checkpoint ?? ''), policy);
    const proof = (record?.proof ?? []).map((hash) => bytesOf(hash));
    if (size > 0) verifyGrowth(verifyCheckpoint(utf8(seen.checkpoint), policy), newer, proof);
    expect(newer.head.size).toBeGreaterThan(size);
    seen = { size: newer.head.size, checkpoint: record?.checkpoint ?? '' };
    const wants = await directory.client.wants(signingOf(node, directory.clock));
    expect(wants?.contracts.map((each) => each.seq)).toContain(seq);
  }
  const between = await directory.client.growth(2, 5);
  expect(between.proof.length).toBeGreaterThan(0);
  await expect(directory.client.growth(5, 2)).rejects.toThrow('published up to');
});

test('a directory goes on where it was, and its nodes’ numbers with it', async () => {
  const setting = await openSetting();
  const node = await joinOnce(async () => openIn(setting));
  let size = 0;
  for (const round of [1, 2, 3]) {
    await using directory = await openIn(setting);
    await submit(directory, node);
    await directory.settled();
    const published = await directory.record.published();
    expect(published.size).toBeGreaterThan(size);
    size = published.size;
    const wants = await directory.client.wants(signingOf(node, directory.clock));
    expect(wants?.contracts.at(-1)?.seq).toBe(round);
  }
});

test('a directory from an old backup says so and writes nothing, and can still be read', async () => {
  const setting = await openSetting();
  const backup = `${setting.folder}.backup`;
  const node = await joinOnce(async () => openIn(setting));
  cpSync(setting.folder, backup, { recursive: true });
  onTestFinished(() => rmSync(backup, { recursive: true }));
  {
    await using directory = await openIn(setting);
    await submit(directory, node);
    await directory.settled();
  }
  await using old = await openIn({ ...setting, folder: backup });
  const refusal = await submit(old, node).catch((error: unknown) => codeOf(error));
  expect(refusal).toBe('RECORD_BEHIND');
  expect((await old.client.nodes()).items).toHaveLength(1);
});

test('without a witness, tiles that are newer than the database tell that it is an old copy', async () => {
  const { folder } = await openSetting();
  const backup = `${folder}.backup`;
  const node = await joinOnce(async () => openDirectory({ folder }));
  cpSync(folder, backup, { recursive: true });
  onTestFinished(() => rmSync(backup, { recursive: true }));
  {
    await using directory = await openDirectory({ folder });
    await submit(directory, node);
    await directory.settled();
  }
  cpSync(join(folder, 'record'), join(backup, 'record'), { recursive: true });
  await using old = await openDirectory({ folder: backup });
  await expect
    .poll(async () => submit(old, node).catch((error: unknown) => codeOf(error)))
    .toBe('RECORD_BEHIND');
});

test('of two directories that run on copies of one database, one at the most goes on', async () => {
  const setting = await openSetting();
  const copy = `${setting.folder}.copy`;
  const node = await joinOnce(async () => openIn(setting));
  cpSync(setting.folder, copy, { recursive: true });
  onTestFinished(() => rmSync(copy, { recursive: true }));
  await using one = await openIn(setting);
  await using other = await openIn({ ...setting, folder: copy });
  await submit(one, node);
  await one.settled();
  // The other may take what it can't know better; nobody ever sees it.
  await submit(other, node).catch(() => undefined);
  await expect
    .poll(async () => submit(other, node).catch((error: unknown) => codeOf(error)), {
      timeout: 10_000,
    })
    .toBe('RECORD_FORKED');
  const wants = await other.store.wants(node.id, other.clock.nowMs);
  expect(wants?.contracts).toEqual([]);
  await submit(one, node);
  await one.settled();
});

test('a database that was begun with another key is not written on', async () => {
  const setting = await openSetting();
  {
    await using directory = await openIn(setting);
    await directory.settled();
  }
  rmSync(join(setting.folder, 'log.key'));
  const refusal = await openDirectory({ folder: setting.folder }).catch((error: unknown) =>
    codeOf(error),
  );
  expect(refusal).toBe('KEYS_OTHER');
});
