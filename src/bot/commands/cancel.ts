import { signCancellation } from '../../contract/sign.ts';
import { findDeployment, isLive } from '../deployments.ts';
import { type Follow, followEnded, hasEnded, tell } from '../follow.ts';
import { openGrid, openNodeBook, readContract } from '../grid.ts';
import { readSelf, removeDeployment, type Self } from '../store.ts';
import { shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';

/** `zos cancel`: signs the end of every contract of a deployment and follows until all ended. */
export async function cancel(world: World, wanted: string): Promise<void> {
  const startedMs = world.nowMs();
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const nodes = openNodeBook(grid);
  const found = await findDeployment(world, grid, { wanted, tenant: self.identity.id });
  const { id, name } = found;
  const follow: Follow = { world, grid, nodes, startedMs, name };
  const known = await Promise.all(found.contracts.map((it) => readContract(grid, it, nodes)));
  await cancelContracts(
    follow,
    self,
    known.filter(isLive).map(({ contract }) => contract),
  );
  const open = known.filter((it) => !hasEnded(it)).map(({ contract }) => contract.id);
  await followEnded(follow, open);
  await removeDeployment(world.home, id);
  answer(world, { id, name, ended: found.contracts }, `${name} (${id}) ended.\n`);
}

type Cancelled = { readonly id: string; readonly node: string };

/** Signs and sends the end of contracts; the nodes do it when they read it. */
export async function cancelContracts(
  follow: Follow,
  self: Self,
  contracts: readonly Cancelled[],
): Promise<void> {
  const { world, grid } = follow;
  for (const { id, node } of contracts) {
    const cancellation = signCancellation(
      { grid: grid.name, contract: id, tenant: self.identity.id, node, atMs: world.nowMs() },
      self.keys.signing,
    );
    await grid.client.cancelContract({ cancellation, tenant: self.document });
    tell(follow, { subject: `node ${shortId(node)}`, state: 'cancelled', because: '' });
  }
}
