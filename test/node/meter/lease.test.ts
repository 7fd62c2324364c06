import { expect, test } from 'vitest';
import { type ContainerHave, containerIdOf } from '../../../src/container/plan.ts';
import { contractDigest, signCancellation } from '../../../src/contract/sign.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { GRID } from '../../support/contracts.ts';
import { contractFor } from '../../support/identity/farm.ts';
import { startAgent, until } from '../../support/node/agent.ts';
import {
  IMAGE,
  joined,
  lonely,
  nodeOf,
  openGrid,
  stateOf,
  submit,
} from '../../support/node/grid.ts';

test('a contract that is renewed goes on with the same process; one that is not, ends', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  const first = contractFor(tenant, nodeOf(agent), lonely());
  const id = await submit(directory, first);
  await stateOf(directory, agent, { id, state: 'running' });
  const left = await submit(directory, contractFor(tenant, nodeOf(agent), lonely()));
  await stateOf(directory, agent, { id: left, state: 'running' });
  const before = agent.machine.containers.get(containerIdOf(id, 'web'))?.pid;
  const notAfterMs = directory.clock.nowMs + 5 * HOUR_MS;
  const grown = { id, version: 2, previous: contractDigest(first.contract), notAfterMs };
  await submit(directory, contractFor(tenant, nodeOf(agent), { ...lonely(), ...grown }));
  await until(
    async () => stateOf(directory, agent, { id, state: 'running' }),
    (receipt) => receipt?.version === 2,
  );
  directory.clock.nowMs += 2 * HOUR_MS;
  const ended = await stateOf(directory, agent, { id: left, state: 'ended' });
  expect(ended?.meter).toMatchObject({ cpuMs: 0, receivedBytes: 0 });
  const after = agent.machine.containers.get(containerIdOf(id, 'web'))?.pid;
  expect(after).toBe(before);
  expect(agent.machine.told.filter((what) => what.includes(containerIdOf(id, 'web')))).toEqual([
    `create container ${containerIdOf(id, 'web')}`,
  ]);
});

test('the word that a cancelled contract ended tells what it used', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  agent.images.add(IMAGE);
  await joined(directory, 1);
  const id = await submit(directory, contractFor(tenant, nodeOf(agent), lonely()));
  await stateOf(directory, agent, { id, state: 'running' });
  const container = containerIdOf(id, 'web');
  const have = agent.machine.containers.get(container);
  const counts = { cpuMs: 1234, memoryBytes: 1, receivedBytes: 5, sentBytes: 6 };
  expect(have).toBeDefined();
  let looks = 0;
  const shown = {
    ...(have as ContainerHave),
    get counts() {
      looks += 1;
      return counts;
    },
  };
  agent.machine.containers.set(container, shown);
  await until(
    () => looks,
    (seen) => seen > 2,
  );
  const about = { grid: GRID, contract: id, tenant: tenant.id, node: agent.self.identity.id };
  const cancellation = signCancellation(
    { ...about, atMs: directory.clock.nowMs },
    tenant.keys.signing,
  );
  await directory.client.cancelContract({ cancellation, tenant: tenant.document });
  const ended = await stateOf(directory, agent, { id, state: 'ended' });
  expect(ended?.meter).toMatchObject({ cpuMs: 1234, receivedBytes: 5, sentBytes: 6 });
});
