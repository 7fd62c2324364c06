import { expect, test } from 'vitest';
import { containerIdOf } from '../../src/container/plan.ts';
import { signCancellation } from '../../src/contract/sign.ts';
import { GiB, HOUR_MS, MiB } from '../../src/lib/units.ts';
import { startAgent, until } from '../support/node/agent.ts';
import { GRID, makePerson, NOW_MS } from '../support/contracts.ts';
import { contractFor } from '../support/identity/farm.ts';
import { IMAGE, joined, lonely, nodeOf, openGrid, stateOf, submit } from '../support/node/grid.ts';

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
  const ofContract = agent.lines.filter((line) => line.startsWith('zos: agent contract '));
  expect(ofContract).toEqual([
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
  const total = { cpuMillis: 4000, memoryBytes: 32 * MiB, ssdBytes: GiB, hddBytes: 0 };
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
  expect(codes).toEqual(['ENVELOPE_UNTRUSTED', 'NOT_RECORDED', 'NODE_FOREIGN', 'GRID_FOREIGN']);
});
