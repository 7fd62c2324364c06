import type { Measurements } from '../../../src/attestation/spec.ts';
import { verifyReceipt } from '../../../src/contract/receipt.ts';
import { contractDigest } from '../../../src/contract/sign.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { type AgentWish, startAgent, type TestAgent, until } from './agent.ts';
import { GRID, makeContract, makePerson } from '../contracts.ts';
import { openDirectory, type TestDirectory } from '../directory.ts';
import { approve, type contractFor, makeFarmer } from '../identity/farm.ts';

/** The image that contracts of tests name. */
export const IMAGE = 'dd'.repeat(32);

/** A directory with one farm, and a tenant. */
export async function openGrid(measurements?: Measurements) {
  const directory = await openDirectory(measurements === undefined ? {} : { measurements });
  const farmer = makeFarmer();
  await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  return { directory, farmer, tenant: makePerson('tenant') };
}

/** One container with no network: one node is enough for it to be running. */
export function lonely(): Partial<Contract> {
  const { workloads } = makeContract(makePerson('any'));
  return {
    workloads: workloads.flatMap((workload) =>
      workload.kind === 'container' ? [{ ...workload, znet: null }] : [],
    ),
  };
}

/** The node's latest word on a contract, as the directory has it. */
export async function receiptOf(directory: TestDirectory, agent: TestAgent, contract: string) {
  const { receipts } = await directory.client.contract(contract);
  const [latest] = receipts;
  return latest === undefined ? undefined : verifyReceipt(latest, agent.self.identity, GRID);
}

/** Sends a contract to the directory; its id. */
export async function submit(directory: TestDirectory, carried: ReturnType<typeof contractFor>) {
  await directory.client.submitContract(carried);
  return contractDigest(carried.contract);
}

/** Starts a node without a join token, which its farmer then approves. */
export async function startApproved(
  wish: AgentWish & { readonly directory: TestDirectory },
): Promise<TestAgent> {
  const { farmer, directory } = wish;
  const agent = await startAgent({ ...wish, token: null });
  const { id } = agent.self.identity;
  await until(
    async () => directory.client.approveNode(id, approve(farmer, id)).then(() => true, codeOf),
    (said) => said === true,
  );
  await joined(directory, 1);
  return agent;
}

/** Waits until so many nodes joined. */
export async function joined(directory: TestDirectory, count: number) {
  await until(
    async () => directory.client.nodes(),
    ({ items }) => items.length === count,
  );
}

/** Waits for the node to say that a contract is in a state. */
export async function stateOf(
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

/** What contracts name a node by. */
export const nodeOf = (agent: TestAgent) => ({
  id: agent.self.identity.id,
  offerId: agent.offer.id,
});
