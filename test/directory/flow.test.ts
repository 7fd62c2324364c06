import { expect, test } from 'vitest';
import { openAnswer, signAnswer, verifyQuestion } from '../../src/contract/question.ts';
import { contractDigest, signCancellation, signQuestion } from '../../src/contract/sign.ts';
import { verifyIdentity } from '../../src/identity/document.ts';
import { signEnvelope } from '../../src/identity/envelope.ts';
import { textOf, utf8 } from '../../src/lib/bytes.ts';
import { codeOf } from '../../src/lib/errors.ts';
import { GiB, MINUTE_MS } from '../../src/lib/units.ts';
import { znetIdOf } from '../../src/znet/address.ts';
import { GRID, makePerson, NOW_MS, type Person } from '../support/contracts.ts';
import { joinNode, openDirectory, signingOf } from '../support/directory.ts';
import { contractFor, freshNonce, makeFarmer, makeReceipt } from '../support/identity/farm.ts';

test('the directory says its grid, who it is, and a time that it signs for one asker', async () => {
  await using directory = await openDirectory();
  const said = await directory.client.grid();
  expect(said.grid).toBe(GRID);
  const identity = verifyIdentity(said.directory, directory.own.id);
  const wish = { grid: GRID, directory: identity, nonce: freshNonce() };
  expect(await directory.client.time(wish)).toBe(NOW_MS);
});

test('a contract goes from its tenant to its node, and the receipt back', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const tenant = makePerson('tenant');
  const carried = contractFor(tenant, node);
  const admission = await client.submitContract(carried);
  expect(admission).toMatchObject({ version: 1, state: 'reserved' });

  const wants = await client.wants(signingOf(node, clock));
  expect(wants?.contracts).toMatchObject([carried]);
  const receipt = makeReceipt(node, admission.id, { state: 'running' });
  await client.putReceipt(receipt);
  const seen = await client.contract(admission.id);
  expect(seen).toMatchObject({ state: 'running', reservedUntilMs: null, receipts: [receipt] });
  expect(seen.versions).toMatchObject([{ version: 1, state: 'held', contract: carried.contract }]);
  expect((await client.node(node.id)).used.cpuMillis).toBe(500);
  const listed = await client.contracts({ tenant: tenant.id, node: node.id });
  expect(listed.items.map(({ id }) => id)).toEqual([admission.id]);
});

test('a node learns where its peers in a znet are, from their receipts', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const farmer = makeFarmer();
  const [left, right] = [await joinNode(directory, farmer), await joinNode(directory, farmer)];
  const tenant = makePerson('tenant');
  const znetTo = (peer: { id: string }) => ({
    workloads: [{ kind: 'znet' as const, name: 'net', peers: [{ node: peer.id }] }],
  });
  const atLeft = await client.submitContract(contractFor(tenant, left, znetTo(right)));
  const atRight = await client.submitContract(contractFor(tenant, right, znetTo(left)));
  await client.putReceipt(makeReceipt(left, atLeft.id));
  const end = {
    znet: znetIdOf(tenant.id, 'net'),
    publicKey: Buffer.alloc(32, 7).toString('base64'),
    port: 1234,
    addresses: ['10.0.0.2'],
  };
  expect((await client.wants(signingOf(left, clock)))?.peers).toEqual([]);
  const receipt = makeReceipt(right, atRight.id, { znetEnds: [end] });
  await client.putReceipt(receipt);
  const expected = [{ receipt, node: right.document }];
  expect((await client.wants(signingOf(left, clock)))?.peers).toEqual(expected);
  // The other end hears of nobody, for nobody has said where he is yet.
  expect((await client.wants(signingOf(right, clock)))?.peers).toEqual([]);
  await client.putReceipt(makeReceipt(right, atRight.id, { seq: 2, state: 'ended' }));
  expect((await client.wants(signingOf(left, clock)))?.peers).toEqual([]);
});

test('a cancelled contract leaves the wants, and frees its room once it ended', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const tenant = makePerson('tenant');
  const { id } = await client.submitContract(contractFor(tenant, node));
  await client.putReceipt(makeReceipt(node, id));
  const cancellation = signCancellation(
    { grid: GRID, contract: id, tenant: tenant.id, node: node.id, atMs: NOW_MS },
    tenant.keys.signing,
  );
  await client.cancelContract({ cancellation, tenant: tenant.document });
  expect(await client.wants(signingOf(node, clock))).toMatchObject({
    contracts: [],
    cancellations: [{ cancellation, tenant: tenant.document }],
  });
  expect((await client.contract(id)).state).toBe('cancelled');
  expect((await client.node(node.id)).used.cpuMillis).toBe(500);
  await client.putReceipt(makeReceipt(node, id, { seq: 2, state: 'ended' }));
  expect((await client.contract(id)).state).toBe('ended');
  expect((await client.node(node.id)).used.cpuMillis).toBe(0);
});

test('a question reaches the node and its sealed answer the tenant', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const tenant = makePerson('tenant');
  const { id: contract } = await client.submitContract(contractFor(tenant, node));
  const question = signQuestion(
    {
      grid: GRID,
      ask: 'logs',
      contract,
      node: node.id,
      tenant: tenant.id,
      workload: 'web',
      nonce: freshNonce(),
      atMs: NOW_MS,
    },
    tenant.keys.signing,
  );
  const { id } = await client.askQuestion({ question, tenant: tenant.document });
  expect(await client.answer(id)).toBe(null);
  const wants = await client.wants(signingOf(node, clock));
  const [asked] = wants?.questions ?? [];
  if (asked === undefined) throw new Error('the question did not arrive');
  const verified = verifyQuestion(asked, { grid: GRID, node: node.id, nowMs: NOW_MS });
  await client.putAnswer(signAnswer(verified, utf8('a line'), node.keys.signing));
  expect((await client.wants(signingOf(node, clock)))?.questions).toEqual([]);
  const answer = await client.answer(id);
  if (answer === null) throw new Error('the answer did not arrive');
  const expected = { node: verifyIdentity(node.document), grid: GRID, question: id };
  expect(textOf(openAnswer(answer, expected, tenant.keys.sealing.secretKey))).toBe('a line');
});

test('questions are for the contract’s own tenant and node, bounded, and lapse', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const farmer = makeFarmer();
  const [node, other] = [await joinNode(directory, farmer), await joinNode(directory, farmer)];
  const [tenant, stranger] = [makePerson('tenant'), makePerson('stranger')];
  const { id: contract } = await client.submitContract(contractFor(tenant, node));
  const ask = async (changes: Record<string, unknown> = {}, by = tenant) => {
    const base = { grid: GRID, ask: 'logs', contract, node: node.id, tenant: by.id };
    const wish = { ...base, workload: 'web', nonce: freshNonce(), atMs: clock.nowMs, ...changes };
    const question = signEnvelope('question', wish, by.keys.signing);
    return client.askQuestion({ question, tenant: by.document }).then(({ id }) => id, codeOf);
  };
  expect(await ask({}, stranger)).toBe('TENANT_MISMATCH');
  expect(await ask({ node: other.id })).toBe('CONTRACT_UNKNOWN');
  expect(await ask({ grid: 'else' })).toBe('QUESTION_FOREIGN');
  expect(await ask({ atMs: NOW_MS - 10 * MINUTE_MS })).toBe('QUESTION_STALE');
  const id = await ask();
  const answer = (by: Person) =>
    signEnvelope('answer', { grid: GRID, node: by.id, question: id, sealed: '' }, by.keys.signing);
  const foreign = client.putAnswer(answer(other));
  await expect(foreign).rejects.toMatchObject({ code: 'NODE_FOREIGN' });
  for (let i = 1; i < 16; i += 1) expect(await ask()).toMatch(/^[0-9a-f]{64}$/u);
  expect(await ask()).toBe('TOO_MANY_QUESTIONS');
  expect((await client.wants(signingOf(node, clock)))?.questions).toHaveLength(16);
  clock.nowMs += 2 * MINUTE_MS;
  expect((await client.wants(signingOf(node, clock)))?.questions).toEqual([]);
  await expect(client.answer(id)).rejects.toMatchObject({ code: 'QUESTION_UNKNOWN' });
  await expect(client.putAnswer(answer(node))).rejects.toMatchObject({ code: 'QUESTION_UNKNOWN' });
  expect(await ask()).toMatch(/^[0-9a-f]{64}$/u);
});

test('who follows a log may ask on and on, as long as the node answers', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const tenant = makePerson('tenant');
  const { id: contract } = await client.submitContract(contractFor(tenant, node));
  const base = { grid: GRID, ask: 'logs' as const, contract, node: node.id, tenant: tenant.id };
  const answered: string[] = [];
  for (let count = 0; count < 40; count += 1) {
    const wish = { ...base, workload: 'web', nonce: freshNonce(), atMs: clock.nowMs };
    const question = signQuestion(wish, tenant.keys.signing);
    const { id } = await client.askQuestion({ question, tenant: tenant.document });
    const asked = (await client.wants(signingOf(node, clock)))?.questions[0];
    if (asked === undefined) throw new Error('the question did not arrive');
    const verified = verifyQuestion(asked, { grid: GRID, node: node.id, nowMs: clock.nowMs });
    await client.putAnswer(signAnswer(verified, utf8('a line'), node.keys.signing));
    expect(await client.answer(id)).not.toBe(null);
    answered.push(id);
    clock.nowMs += 1;
  }
  // Old answers make room.
  await expect(client.answer(answered[0] ?? '')).rejects.toMatchObject({
    code: 'QUESTION_UNKNOWN',
  });
});

test('who asks again and again is answered each time, and the oldest answers go', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const tenant = makePerson('tenant');
  const { id: contract } = await client.submitContract(contractFor(tenant, node));
  const base = { grid: GRID, ask: 'logs', contract, node: node.id, tenant: tenant.id };
  const ids: string[] = [];
  for (let i = 0; i < 40; i += 1) {
    const wish = { ...base, workload: 'web', nonce: freshNonce(), atMs: clock.nowMs };
    const question = signEnvelope('question', wish, tenant.keys.signing);
    const { id } = await client.askQuestion({ question, tenant: tenant.document });
    const said = { grid: GRID, node: node.id, question: id, sealed: '' };
    await client.putAnswer(signEnvelope('answer', said, node.keys.signing));
    clock.nowMs += 1000;
    ids.push(id);
  }
  expect(await client.answer(ids.at(-1) ?? '')).not.toBeNull();
  await expect(client.answer(ids[0] ?? '')).rejects.toMatchObject({ code: 'QUESTION_UNKNOWN' });
});

test('a second version books the greater of both until its node takes it', async () => {
  await using directory = await openDirectory();
  const { client, clock } = directory;
  const node = await joinNode(directory, makeFarmer());
  const tenant = makePerson('tenant');
  const first = contractFor(tenant, node);
  const { id } = await client.submitContract(first);
  await client.putReceipt(makeReceipt(node, id, { state: 'running' }));
  const second = contractFor(tenant, node, {
    id,
    version: 2,
    previous: contractDigest(first.contract),
    resources: { cpuMillis: 100, memoryBytes: GiB, ssdBytes: 0, hddBytes: 0 },
  });
  await client.submitContract(second);
  expect((await client.node(node.id)).used).toMatchObject({ cpuMillis: 500, memoryBytes: GiB });
  expect((await client.wants(signingOf(node, clock)))?.contracts).toMatchObject([first, second]);
  const about = { version: 2, digest: contractDigest(second.contract) };
  await client.putReceipt(makeReceipt(node, id, { seq: 2, ...about, state: 'running' }));
  expect((await client.node(node.id)).used).toMatchObject({ cpuMillis: 100, memoryBytes: GiB });
  expect((await client.wants(signingOf(node, clock)))?.contracts).toMatchObject([second]);
  const states = (await client.contract(id)).versions.map(({ state }) => state);
  expect(states).toEqual(['superseded', 'held']);
});
