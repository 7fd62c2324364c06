import { expect, test } from 'vitest';
import { containerIdOf } from '../../src/container/plan.ts';
import { verifyReceipt } from '../../src/contract/receipt.ts';
import { openAnswer, questionId } from '../../src/contract/question.ts';
import { contractDigest, signCancellation, signQuestion } from '../../src/contract/sign.ts';
import type { Contract } from '../../src/contract/spec.ts';
import { FarmError } from '../../src/identity/farm.ts';
import { GiB, HOUR_MS, MiB } from '../../src/lib/units.ts';
import { startAgent, type TestAgent, until } from '../support/agent.ts';
import { GRID, makeContract, makePerson, NOW_MS } from '../support/contracts.ts';
import {
  contractFor,
  freshNonce,
  makeFarmer,
  openDirectory,
  type TestDirectory,
} from '../support/directory.ts';

const IMAGE = 'dd'.repeat(32);

async function openGrid() {
  const directory = await openDirectory();
  const farmer = makeFarmer();
  await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  return { directory, farmer, tenant: makePerson('tenant') };
}

/** One container with no network: one node is enough for it to be running. */
function lonely(): Partial<Contract> {
  const { workloads } = makeContract(makePerson('any'));
  return {
    workloads: workloads.flatMap((workload) =>
      workload.kind === 'container' ? [{ ...workload, znet: null }] : [],
    ),
  };
}

async function receiptOf(directory: TestDirectory, agent: TestAgent, contract: string) {
  const { receipts } = await directory.client.contract(contract);
  const [latest] = receipts;
  return latest === undefined ? undefined : verifyReceipt(latest, agent.self.identity, GRID);
}

async function submit(directory: TestDirectory, carried: ReturnType<typeof contractFor>) {
  await directory.client.submitContract(carried);
  return contractDigest(carried.contract);
}

async function joined(directory: TestDirectory, count: number) {
  await until(
    async () => directory.client.nodes(),
    ({ items }) => items.length === count,
  );
}

async function stateOf(
  directory: TestDirectory,
  agent: TestAgent,
  wish: { readonly id: string; readonly state: string },
) {
  return until(
    async () => receiptOf(directory, agent, wish.id),
    (receipt) => receipt?.state === wish.state,
    () => agent.lines.join('\n'),
  );
}

const nodeOf = (agent: TestAgent) => ({ id: agent.self.identity.id, offerId: agent.offer.id });

test('a node joins, runs a contract, says so, and ends it when it is cancelled', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer, clockOffMs: -3 * HOUR_MS });
  const node = nodeOf(agent);
  await joined(directory, 1);
  agent.images.add(IMAGE);
  const id = await submit(directory, contractFor(tenant, node, lonely()));
  const running = await stateOf(directory, agent, { id, state: 'running' });
  expect(running?.workloads).toMatchObject([
    { kind: 'container', name: 'web', state: 'running', because: '', pid: 101 },
  ]);
  expect(agent.lines.slice(-2)).toEqual([
    `zos: agent contract ${id} version 1 accepted`,
    `zos: agent contract ${id} version 1 running`,
  ]);
  expect(agent.machine.told).toEqual([
    'create firewall host',
    `create image ${IMAGE}`,
    `create container ${containerIdOf(id, 'web')}`,
  ]);
  const cancellation = signCancellation(
    { grid: GRID, contract: id, tenant: tenant.id, node: node.id, atMs: NOW_MS },
    tenant.keys.signing,
  );
  await directory.client.cancelContract({ cancellation, tenant: tenant.document });
  await stateOf(directory, agent, { id, state: 'ended' });
  await until(
    () => agent.machine.print(),
    (text) => text === 'firewall host',
  );
});

test('containers outlive the agent: the next one finds them and touches nothing', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using first = await startAgent({ directory, farmer });
  first.images.add(IMAGE);
  await joined(directory, 1);
  const id = await submit(directory, contractFor(tenant, nodeOf(first), lonely()));
  await stateOf(directory, first, { id, state: 'running' });
  const before = first.machine.print();
  await first.stop();
  first.machine.told.length = 0;
  await using second = await startAgent({ directory, farmer, before: first });
  await until(
    () => second.lines,
    (lines) => lines.some((line) => line.startsWith('zos: agent registered')),
  );
  first.machine.exit(containerIdOf(id, 'web'));
  await until(
    () => second.machine.told,
    (told) => told.length > 0,
  );
  expect(second.machine.told).toEqual([`update container ${containerIdOf(id, 'web')}`]);
  expect(before).toContain('running pid 101');
  expect(second.machine.print()).toBe(before.replace('pid 101', 'pid 102'));
});

test('a clock that is set back by hours holds up nothing', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer, clockOffMs: 3 * HOUR_MS });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  const id = await submit(directory, contractFor(tenant, nodeOf(agent), lonely()));
  await stateOf(directory, agent, { id, state: 'running' });
  agent.machine.exit(containerIdOf(id, 'web'));
  await until(
    () => agent.machine.print(),
    (text) => text.includes('running pid 102'),
  );
  expect(agent.machine.told.at(-1)).toBe(`update container ${containerIdOf(id, 'web')}`);
});

test('what is past its end while the machine was off does not start again', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using first = await startAgent({ directory, farmer });
  await joined(directory, 1);
  const id = await submit(directory, contractFor(tenant, nodeOf(first), lonely()));
  await stateOf(directory, first, { id, state: 'accepted' });
  await first.stop();
  first.images.add(IMAGE);
  directory.clock.nowMs += 2 * HOUR_MS;
  await using second = await startAgent({ directory, farmer, before: first });
  await until(
    () => second.lines,
    (lines) => lines.some((line) => line.startsWith('zos: agent registered')),
  );
  expect(second.machine.print()).toBe('firewall host');
});

test('more than the node has is refused with numbers, and the tenant can read it', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  const total = { cpuMillis: 4000, memoryBytes: 32 * MiB, ssdBytes: GiB };
  await using agent = await startAgent({ directory, farmer, total });
  await joined(directory, 1);
  const id = await submit(directory, contractFor(tenant, nodeOf(agent), lonely()));
  const receipt = await stateOf(directory, agent, { id, state: 'refused' });
  expect(receipt?.refusal).toEqual({
    code: 'NO_ROOM',
    sentence:
      'It asks for 64.0 MiB of memory and 32.0 MiB are free; ask for less or choose another node.',
  });
  expect(agent.machine.print()).toBe('firewall host');
});

test('a directory that lies can make a node do nothing, and holds up nothing', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  const stranger = makePerson('stranger');
  const lies: ReturnType<typeof contractFor>[] = [];
  const honest = directory.store.wants.bind(directory.store);
  Object.assign(directory.store, {
    wants: async (node: string, nowMs: number) => {
      const wants = await honest(node, nowMs);
      return wants && { ...wants, contracts: [...lies, ...wants.contracts] };
    },
  });
  await using agent = await startAgent({ directory, farmer });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  const node = nodeOf(agent);
  const signed = contractFor(tenant, node, lonely());
  const [signature] = signed.contract.signatures;
  const sig = Buffer.alloc(64).toString('base64');
  lies.push(
    { ...signed, tenant: stranger.document },
    {
      ...signed,
      contract: { ...signed.contract, signatures: [{ keyid: signature?.keyid ?? '', sig }] },
    },
    contractFor(tenant, node, { ...lonely(), notBeforeMs: 1, notAfterMs: 2 }),
    contractFor(tenant, { ...node, id: 'ee'.repeat(32) }, lonely()),
    contractFor(tenant, node, { ...lonely(), grid: 'other' }),
  );
  const id = await submit(directory, contractFor(tenant, node, lonely()));
  await stateOf(directory, agent, { id, state: 'running' });
  expect([...agent.machine.containers.keys()]).toEqual([containerIdOf(id, 'web')]);
  const codes = agent.lines.flatMap((line) => / refused \S+ \w+: (\w+)/u.exec(line)?.[1] ?? []);
  expect(codes).toEqual(['ENVELOPE_UNTRUSTED', 'EXPIRED', 'NODE_FOREIGN', 'GRID_FOREIGN']);
});

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
    'zos: agent waiting for directory URL to register: TOKEN_FOREIGN No. try 1, next in 0.5 s',
  );
});
