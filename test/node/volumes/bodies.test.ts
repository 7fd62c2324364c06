import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { encodeBody, opensWith, sealSecret, secretKey } from '../../../src/contract/checks/body.ts';
import { contractDigest, signCancellation } from '../../../src/contract/sign.ts';
import { openContractStore } from '../../../src/contract/store.ts';
import type { Wants } from '../../../src/contract/wants.ts';
import { payloadTypeOf } from '../../../src/identity/envelope.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { carry, GRID, makeContract, makePerson, NODE_ID, NOW_MS } from '../../support/contracts.ts';
import { History } from '../../support/hostile/history.ts';
import { openTestHoldings } from '../../support/node/holdings.ts';

const tenant = makePerson('tenant');
const node = makeSecretKeys();
const BODY = bodyOf('hunter2');
const CARRIED = {
  ...carry(
    tenant,
    makeContract(tenant, {
      body: BODY.digest,
      workloads: makeContract(tenant).workloads.map((workload) =>
        workload.kind === 'container'
          ? { ...workload, secrets: [{ name: 'db', env: null }] }
          : workload,
      ),
    }),
  ),
  body: BODY.text,
};
const ID = contractDigest(CARRIED.contract);

function bodyOf(value: string) {
  const place = { grid: GRID, tenant: tenant.id, node: NODE_ID, container: 'web', name: 'db' };
  const { publicKey: recipientKey } = node.sealing;
  const sealerSecret = tenant.keys.sealing.secretKey;
  const sealed = sealSecret({ ...place, recipientKey, value: utf8(value), sealerSecret });
  return encodeBody({ salt: '5a'.repeat(32), secrets: { [secretKey(place)]: sealed } });
}

function wantsWith(body: string | undefined): Wants {
  const history = new History();
  const to = { node: NODE_ID, seq: 1 };
  const payloadType = payloadTypeOf('contract');
  const proof = history.proof(history.add({ payloadType, digest: ID, to }));
  const none = { cancellations: [], peers: [], questions: [] };
  return { revision: 1, contracts: [{ ...CARRIED, body, seq: 1, proof }], ...none };
}

/** A node whose disk outlives a boot, and whose memory does not. */
async function bootedNode() {
  const folder = await mkdtemp(join(tmpdir(), 'zos-bodies-'));
  onTestFinished(async () => rm(folder, { recursive: true, force: true }));
  return {
    cutPower: async () => rm(`${folder}/memory`, { recursive: true }),
    boot: async () => {
      const store = await openContractStore(`${folder}/disk`, `${folder}/memory`);
      const opens = opensWith(node.sealing.secretKey);
      return (await openTestHoldings({ store, opens, recordFolder: `${folder}/record` })).holdings;
    },
  };
}

test('after a boot a contract is held without its secrets, until they are sent again', async () => {
  const { boot, cutPower } = await bootedNode();
  const before = await boot();
  await before.take(wantsWith(BODY.text), NOW_MS);
  expect(before.held.get(ID)?.private).not.toBeNull();
  // Also a start of the agent alone needs no directory.
  expect((await boot()).held.get(ID)?.private).not.toBeNull();

  await cutPower();
  const after = await boot();
  expect(after.held.get(ID)?.private).toBeNull();
  await after.take(wantsWith(undefined), NOW_MS);
  expect(after.held.get(ID)?.private).toBeNull();
  await after.take(wantsWith(bodyOf('another').text), NOW_MS);
  expect(after.held.get(ID)?.private).toBeNull();
  expect(after.refused.get(ID)?.code).toBe('BODY_OTHER');
  await after.take(wantsWith(BODY.text), NOW_MS);
  expect(after.held.get(ID)?.private).not.toBeNull();
  expect(after.refused.size).toBe(0);
});

test('a contract is over for its volumes when its own tenant says so, and nobody else', async () => {
  const { boot } = await bootedNode();
  const holdings = await boot();
  await holdings.take(wantsWith(BODY.text), NOW_MS);
  const stranger = makePerson('stranger');
  const end = (who: typeof tenant) => ({
    cancellation: signCancellation(
      { grid: GRID, contract: ID, tenant: who.id, node: NODE_ID, atMs: NOW_MS },
      who.keys.signing,
    ),
    tenant: who.document,
  });
  const whose = { contract: ID, tenant: tenant.id };
  await holdings.cancel(end(stranger), NOW_MS);
  expect(holdings.isOver(whose)).toBe(false);
  await holdings.cancel(end(tenant), NOW_MS);
  expect(holdings.isOver(whose)).toBe(true);
  // Also long after, and when the directory heard of it and the contract was forgotten.
  await holdings.forget(ID);
  expect((await boot()).isOver(whose)).toBe(true);
});
