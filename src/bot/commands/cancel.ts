import { signCancellation, signErasure } from '../../contract/sign.ts';
import { codeOf } from '../../lib/errors.ts';
import { findDeployment, isLive } from '../deployments.ts';
import { type Follow, followEnded, hasEnded, tell } from '../follow.ts';
import { type Books, type Grid, type KnownContract, openBooks, openGrid } from '../grid.ts';
import { cancelByLetter, leaveLetter } from './letters.ts';
import { readSelf, removeDeployment, type Self } from '../store.ts';
import { shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';

/** `zos cancel`: signs the end of every contract of a deployment and follows until all ended. */
export async function cancel(world: World, wanted: string): Promise<void> {
  const startedMs = world.nowMs();
  const self = await readSelf(world.home);
  const grid = await openGridUnlessSilent(world, { wanted, self });
  if (grid === undefined) return;
  const books = openBooks(grid, self.identity.id);
  const found = await findDeployment(world, grid, { wanted, tenant: self.identity.id });
  const { id, name } = found;
  const follow: Follow = { world, books, startedMs, name };
  const known = await knownContracts(world, books, found.contracts);
  const live = known.filter(isLive).map(({ contract }) => contract);
  await cancelContracts({ follow, grid, self }, live);
  const open = known.filter((it) => !hasEnded(it)).map(({ contract }) => contract.id);
  await followEnded(follow, open);
  await eraseBodies({ follow, grid, self }, known);
  await removeDeployment(world.home, id);
  answer(world, { id, name, ended: found.contracts }, `${name} (${id}) ended.\n`);
}

async function openGridUnlessSilent(
  world: World,
  wish: { readonly wanted: string; readonly self: Self },
): Promise<Grid | undefined> {
  try {
    return await openGrid(world);
  } catch (cause) {
    if (!codeOf(cause).startsWith('HTTP_')) throw cause;
    await cancelByLetter(world, { ...wish, cause });
    return undefined;
  }
}

/** The contracts that the directory knows; of the others it is told that they end by themselves. */
async function knownContracts(
  world: World,
  books: Books,
  ids: readonly string[],
): Promise<KnownContract[]> {
  const asked = ids.map(async (id): Promise<KnownContract[]> => {
    try {
      return await books.contracts([id]);
    } catch (error) {
      if (codeOf(error) !== 'CONTRACT_UNKNOWN') throw error;
      const what = `The directory knows no contract ${shortId(id)}`;
      world.terminal.err(`${what}; where it runs, it ends at its own date.\n`);
      return [];
    }
  });
  return (await Promise.all(asked)).flat();
}

/** What ended needs its secrets no more: of their boxes nothing is left but a salted hash. */
async function eraseBodies(
  { follow, grid, self }: Canceller,
  ended: readonly KnownContract[],
): Promise<void> {
  const { nowMs } = follow.world;
  for (const { contract, bodies } of ended) {
    for (const body of bodies) {
      const about = { grid: grid.name, tenant: self.identity.id, contract: contract.id, body };
      const erasure = signErasure({ ...about, atMs: nowMs() }, self.keys.signing);
      await grid.client.eraseBody({ erasure, tenant: self.document });
      tell(follow, {
        subject: `node ${shortId(contract.node)}`,
        state: 'secrets erased',
        because: '',
      });
    }
  }
}

type Canceller = { readonly follow: Follow; readonly grid: Grid; readonly self: Self };
type Cancelled = { readonly id: string; readonly node: string };

/** Signs and sends the end of contracts; the nodes do it when they read it. */
export async function cancelContracts(
  { follow, grid, self }: Canceller,
  contracts: readonly Cancelled[],
): Promise<void> {
  const { world } = follow;
  for (const { id, node } of contracts) {
    const cancellation = signCancellation(
      { grid: grid.name, contract: id, tenant: self.identity.id, node, atMs: world.nowMs() },
      self.keys.signing,
    );
    const letter = { cancellation, tenant: self.document };
    await grid.client.cancelContract(letter);
    // Should the directory keep it back, the node finds it there.
    await leaveLetter(world, letter);
    tell(follow, { subject: `node ${shortId(node)}`, state: 'cancelled', because: '' });
  }
}
