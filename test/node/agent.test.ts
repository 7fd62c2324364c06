import { expect, test } from 'vitest';
import { containerIdOf } from '../../src/container/plan.ts';
import { verifyReceipt } from '../../src/contract/receipt.ts';
import { signCancellation } from '../../src/contract/sign.ts';
import { contractDigest } from '../../src/contract/sign.ts';
import type { Contract } from '../../src/contract/spec.ts';
import { HOUR_MS } from '../../src/lib/units.ts';
import { startAgent, type TestAgent, until } from '../support/agent.ts';
import { GRID, makeContract, makePerson, NOW_MS } from '../support/contracts.ts';
import {
  contractFor,
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

const nodeOf = (agent: TestAgent) => ({ id: agent.self.identity.id, offerId: agent.offer.id });

test('a node joins, runs a contract, says so, and ends it when it is cancelled', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer, clockOffMs: -3 * HOUR_MS });
  const node = nodeOf(agent);
  const say = () => agent.lines.join('\n');
  await until(
    async () => directory.client.nodes(),
    ({ items }) => items.length === 1,
    say,
  );
  agent.images.add(IMAGE);
  const id = await submit(directory, contractFor(tenant, node, lonely()));
  const running = await until(
    async () => receiptOf(directory, agent, id),
    (receipt) => receipt?.state === 'running',
    say,
  );
  expect(running?.workloads).toMatchObject([
    { kind: 'container', name: 'web', state: 'running', because: '', pid: 101 },
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
  await until(
    async () => receiptOf(directory, agent, id),
    (receipt) => receipt?.state === 'ended',
    say,
  );
  await until(
    () => agent.machine.print(),
    (text) => text === 'firewall host',
  );
});
