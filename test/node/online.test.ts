import { expect, test } from 'vitest';
import { containerIdOf } from '../../src/container/plan.ts';
import { parseExplanation } from '../../src/contract/explain/explanation.ts';
import { openAnswer, questionId } from '../../src/contract/question.ts';
import { signQuestion } from '../../src/contract/sign.ts';
import { FarmError } from '../../src/identity/farm.ts';
import { startAgent, until } from '../support/node/agent.ts';
import { GRID, makeContract, makePerson, NOW_MS, type Person } from '../support/contracts.ts';
import { contractFor, freshNonce } from '../support/identity/farm.ts';
import { IMAGE, joined, lonely, nodeOf, openGrid, stateOf, submit } from '../support/node/grid.ts';

test('two nodes learn of each other by their signed receipts and join one network', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using a = await startAgent({ directory, farmer });
  await using b = await startAgent({ directory, farmer });
  await joined(directory, 2);
  for (const agent of [a, b]) agent.images.add(IMAGE);
  const ids: string[] = [];
  for (const [here, there] of [
    [a, b],
    [b, a],
  ] as const) {
    const { workloads } = makeContract(tenant);
    const wired = workloads.map((workload) =>
      workload.kind === 'znet' ? { ...workload, peers: [{ node: nodeOf(there).id }] } : workload,
    );
    ids.push(await submit(directory, contractFor(tenant, nodeOf(here), { workloads: wired })));
  }
  const [first = '', second = ''] = ids;
  await stateOf(directory, a, { id: first, state: 'running' });
  await stateOf(directory, b, { id: second, state: 'running' });
  for (const [here, there] of [
    [a, b],
    [b, a],
  ] as const) {
    const [have] = here.machine.znets.values();
    const [other] = there.machine.znets.values();
    expect(have?.peers.map(({ publicKey }) => publicKey)).toEqual([other?.publicKey]);
    expect(have?.peers[0]?.endpoint).toBe(`192.0.2.7:${other?.port}`);
  }
});

test("a container's log reaches its tenant sealed, and nobody else", async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  const node = nodeOf(agent);
  const id = await submit(directory, contractFor(tenant, node, lonely()));
  await stateOf(directory, agent, { id, state: 'running' });
  agent.logs.set(containerIdOf(id, 'web'), 'a page was fetched\n');
  const asked = {
    grid: GRID,
    ask: 'logs' as const,
    contract: id,
    node: node.id,
    tenant: tenant.id,
    workload: 'web',
    nonce: freshNonce(),
    atMs: NOW_MS,
  };
  const question = signQuestion(asked, tenant.keys.signing);
  await directory.client.askQuestion({ question, tenant: tenant.document });
  const answer = await until(
    async () => directory.client.answer(questionId(question)),
    (envelope) => envelope !== null,
    () => agent.lines.join('\n'),
  );
  if (answer === null) throw new Error('There is no answer.');
  const expected = { node: agent.self.identity, grid: GRID, question: questionId(question) };
  const plain = openAnswer(answer, expected, tenant.keys.sealing.secretKey);
  expect(new TextDecoder().decode(plain)).toBe('a page was fetched\n');
  const other = makePerson('other').keys.sealing.secretKey;
  expect(() => openAnswer(answer, expected, other)).toThrow('sealed to another key');
});

test('a node explains a contract to its tenant and itself to its farmer, to others nothing', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  await joined(directory, 1);
  const node = nodeOf(agent);
  const id = await submit(directory, contractFor(tenant, node, lonely()));
  await stateOf(directory, agent, { id, state: 'accepted' });
  const stranger = makePerson('stranger');
  const askAs = async (
    asker: Pick<Person, 'id' | 'keys' | 'document'>,
    contract: string | null,
  ) => {
    const about = { grid: GRID, ask: 'explain' as const, node: node.id, contract };
    const asked = { ...about, tenant: asker.id, nonce: freshNonce(), atMs: NOW_MS };
    const question = signQuestion(asked, asker.keys.signing);
    await directory.client.askQuestion({ question, tenant: asker.document });
    return questionId(question);
  };
  const answerTo = async (asker: Pick<Person, 'keys'>, question: string) => {
    const answer = await until(
      async () => directory.client.answer(question),
      (envelope) => envelope !== null,
      () => agent.lines.join('\n'),
    );
    if (answer === null) throw new Error('There is no answer.');
    const expected = { node: agent.self.identity, grid: GRID, question };
    return parseExplanation(openAnswer(answer, expected, asker.keys.sealing.secretKey));
  };
  const own = await answerTo(tenant, await askAs(tenant, id));
  const container = own.items.find(({ key }) => key === `container ${containerIdOf(id, 'web')}`);
  expect(container?.waits[0]?.sentence).toContain(`image ${IMAGE}`);
  const whole = await answerTo(farmer, await askAs(farmer, null));
  expect(whole.items.map(({ key }) => key)).toContain(`container ${containerIdOf(id, '1')}`);
  await expect(askAs(stranger, id)).rejects.toMatchObject({ code: 'TENANT_MISMATCH' });
  const refused = await askAs(stranger, null);
  await until(
    () => agent.lines,
    (lines) => lines.some((line) => line.includes('refused question: ASKER_FOREIGN')),
  );
  expect(await directory.client.answer(refused)).toBeNull();
});

test('a node that comes before its directory waits, says so, and joins when it is there', async () => {
  const { directory, farmer } = await openGrid();
  await using _directory = directory;
  const real = directory.store.registerNode.bind(directory.store);
  const state = { isDown: true };
  Object.assign(directory.store, {
    registerNode: async (...wish: Parameters<typeof real>) => {
      if (state.isDown) throw new FarmError('TOKEN_FOREIGN', 'No.');
      return real(...wish);
    },
  });
  await using agent = await startAgent({ directory, farmer });
  await until(
    () => agent.lines.filter((line) => line.includes('try 3')),
    (lines) => lines.length > 0,
  );
  state.isDown = false;
  await joined(directory, 1);
  expect(agent.lines[1]?.replace(/http:\S+/u, 'URL')).toBe(
    'zos: agent waits for directory URL to register: TOKEN_FOREIGN No. try 1, next in 0.5 s',
  );
});
