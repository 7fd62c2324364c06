import { expect, test } from 'vitest';
import { encodeBody } from '../../src/contract/checks/body.ts';
import { contractDigest } from '../../src/contract/sign.ts';
import { policyOf } from '../../src/directory/record/policy.ts';
import { fetchBytes } from '../../src/host/http.ts';
import { untrustedPayload } from '../../src/identity/envelope.ts';
import { textOf } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { entryOf, leafHashOf } from '../../src/record/entry.ts';
import { verifyTlogProof } from '../../src/record/verify.ts';
import { makePerson } from '../support/contracts.ts';
import { erasureBy, tenant, withSecret } from '../support/contract/secret.ts';
import { joinNode, openDirectory, signingOf } from '../support/directory.ts';
import { contractFor, makeFarmer, makeReceipt } from '../support/identity/farm.ts';
import { verdict } from '../support/record/signers.ts';

async function refusalOf(run: Promise<unknown>): Promise<string> {
  return run.then(() => 'taken', codeOf);
}

test('a private body comes with its contract, and is carried to its node and to nobody else', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const { id, carried, body } = withSecret(node);
  const { client, clock } = directory;
  expect(await refusalOf(client.submitContract(carried))).toBe('BODY_MISSING');
  const other = encodeBody({ salt: '00'.repeat(32), secrets: {} }).text;
  expect(await refusalOf(client.submitContract({ ...carried, body: other }))).toBe('BODY_OTHER');
  expect(await client.contracts({ tenant: tenant.id })).toMatchObject({ items: [] });
  await client.submitContract({ ...carried, body: body.text });
  const wants = await client.wants(signingOf(node, clock));
  expect(wants?.contracts).toMatchObject([{ body: body.text }]);
  const shown = await client.contract(id);
  expect(shown.versions).toMatchObject([{ body: 'kept', erasure: null }]);
  expect(JSON.stringify(shown)).not.toContain(body.text);
});

test('the next version may name the body that is kept, and none that was erased', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const { id, carried, body, workloads } = withSecret(node);
  const { client, clock } = directory;
  await client.submitContract({ ...carried, body: body.text });
  const held = (version: number, seq: number, digest: string) =>
    client.putReceipt(makeReceipt(node, id, { seq, version, digest, state: 'running' }));
  await held(1, 1, id);
  const next = (version: number, previous: string) => {
    const grown = { id, version, previous, workloads, body: body.digest };
    return contractFor(tenant, node, grown);
  };
  const second = next(2, id);
  await client.submitContract(second);
  await directory.settled();
  const wants = await client.wants(signingOf(node, clock));
  expect(wants?.contracts.map((it) => it.body)).toEqual([body.text, body.text]);
  const digest = contractDigest(second.contract);
  await held(2, 2, digest);
  await client.eraseBody(erasureBy(tenant, id, body.digest));
  expect(await refusalOf(client.submitContract(next(3, digest)))).toBe('BODY_MISSING');
});

test('its tenant erases it, and nobody else; the contract stays as it was signed', async () => {
  const directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const { id, carried, body } = withSecret(node);
  const { client, clock } = directory;
  await client.submitContract({ ...carried, body: body.text });
  const stranger = makePerson('stranger');
  const { erasure } = erasureBy(stranger, id, body.digest);
  const forged = { erasure, tenant: tenant.document };
  expect(await refusalOf(client.eraseBody(erasureBy(stranger, id, body.digest)))).toBe(
    'TENANT_MISMATCH',
  );
  expect(await refusalOf(client.eraseBody(forged))).toBe('ENVELOPE_UNTRUSTED');
  expect(await refusalOf(client.eraseBody(erasureBy(tenant, '00'.repeat(32), body.digest)))).toBe(
    'CONTRACT_UNKNOWN',
  );
  expect(await refusalOf(client.eraseBody(erasureBy(tenant, id, '00'.repeat(32))))).toBe(
    'NOT_FOUND',
  );
  expect((await client.wants(signingOf(node, clock)))?.contracts).toMatchObject([
    { body: body.text },
  ]);

  const good = erasureBy(tenant, id, body.digest);
  await client.eraseBody(good);
  await client.eraseBody(good);
  const { versions } = await client.contract(id);
  expect(versions).toMatchObject([
    { body: 'erased', erasure: good.erasure, contract: carried.contract },
  ]);
  const [left] = (await client.wants(signingOf(node, clock)))?.contracts ?? [];
  expect(left).toBeDefined();
  expect(left).not.toHaveProperty('body');
  await directory[Symbol.asyncDispose]();
});

test('the record still proves a contract whose private body was erased, and the erasure too', async () => {
  await using directory = await openDirectory();
  const node = await joinNode(directory, makeFarmer());
  const { id, carried, body } = withSecret(node);
  await directory.client.submitContract({ ...carried, body: body.text });
  const { erasure, tenant: by } = erasureBy(tenant, id, body.digest);
  await directory.client.eraseBody({ erasure, tenant: by });
  await directory.settled();
  const get = async (path: string): Promise<Uint8Array> =>
    fetchBytes({ url: `${directory.url}/record/${path}` });
  const policy = policyOf(textOf(await get('policy')));
  const contract = untrustedPayload(carried.contract, 'contract');
  const entries = [
    entryOf(carried.contract.payloadType, contract, { node: node.id, seq: 1 }),
    entryOf(erasure.payloadType, untrustedPayload(erasure, 'erasure')),
  ];
  for (const entry of entries) {
    const proof = await get(`proof/${entry.digest}`);
    expect(verdict(() => verifyTlogProof(proof, leafHashOf(entry), policy))).toBe('holds');
  }
  const shown = await get(`envelope/${entries[0]?.digest}`);
  expect(textOf(shown)).toContain(carried.contract.payload);
  expect(textOf(shown)).not.toContain(body.text);
});
