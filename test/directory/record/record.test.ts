import { expect, test } from 'vitest';
import { signCancellation } from '../../../src/contract/sign.ts';
import { policyOf } from '../../../src/directory/record/policy.ts';
import { fetchBytes } from '../../../src/host/http.ts';
import { signEnvelope, untrustedPayload } from '../../../src/identity/envelope.ts';
import { fromBase64, textOf, utf8 } from '../../../src/lib/bytes.ts';
import { entryOf, formatEntry, leafHashOf, parseEntry } from '../../../src/record/entry.ts';
import { decodeBundle } from '../../../src/record/tile.ts';
import { parseTlogProof } from '../../../src/record/tlog-proof.ts';
import { leafHash } from '../../../src/record/tree.ts';
import { verifyCheckpoint, verifyGrowth, verifyTlogProof } from '../../../src/record/verify.ts';
import { GRID, NOW_MS } from '../../support/contracts.ts';
import { joinNode, signingOf, type TestDirectory } from '../../support/directory.ts';
import { makeFarmer, makeReceipt, HEARTBEAT } from '../../support/identity/farm.ts';
import { verdict } from '../../support/record/signers.ts';
import { openIn, openSetting, submit, tenant } from '../../support/record/setting.ts';

const ROOT = 'A'.repeat(43) + '=';
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
  // The first contract is shown too: only its node can say that it is over.
  expect(before?.contracts.map(({ seq }) => seq)).toEqual([1]);
  expect(before?.cancellations).toMatchObject([{ cancellation, seq: 3, proof: null }]);
  await directory.client.putReceipt(makeReceipt(node, digest, { seq: 1, state: 'ended' }));
  const ended = await directory.store.wants(node.id, directory.clock.nowMs);
  expect(ended?.contracts).toEqual([]);
  // Nothing is left to do with it then, and its number is shown all the same.
  expect(ended?.passed?.map(({ entry }) => parseEntry(utf8(entry)).to?.seq)).toEqual([1]);
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
