import { signCancellation, signErasure } from '../../contract/sign.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { codeOf } from '../../lib/errors.ts';
import { findDeployment, isLive } from '../deployments.ts';
import { type Follow, followEnded, hasEnded, tell } from '../follow.ts';
import { type Books, type Grid, type KnownContract, openBooks, openGrid } from '../grid.ts';
import { cancelByLetter, leaveLetter } from './letters.ts';
import { readSelf, removeDeployment, type Self } from '../store.ts';
import { shortId } from '../terminal.ts';
import { handOn, itemsOf, needsOthers } from '../identity/part.ts';
import { renewTeam } from '../identity/renewal.ts';
import { forgetVolumeKeys } from '../volumes/store.ts';
import { answer, type World } from '../world.ts';

export type CancelWish = {
  readonly wanted: string;
  /** Where what a team's next member has to sign is written. */
  readonly out?: string | undefined;
};

/** `zos cancel`: signs the end of every contract of a deployment and follows until all ended. */
export async function cancel(world: World, { wanted, out }: CancelWish): Promise<void> {
  const startedMs = world.nowMs();
  const own = await readSelf(world.home);
  const grid = await openGridUnlessSilent(world, { wanted, self: own });
  if (grid === undefined) return;
  const self = await renewTeam(world, grid, own);
  const books = openBooks(grid, self.identity.id);
  const found = await findDeployment(world, grid, { wanted, tenant: self.identity.id });
  const { id, name } = found;
  const follow: Follow = { world, books, startedMs, name };
  const known = await knownContracts(world, books, found.contracts);
  const live = known.filter(isLive).map(({ contract }) => contract);
  if (needsOthers(self)) {
    const ending = { grid: grid.name, atMs: world.nowMs() };
    const ends = live.map((contract) => cancellationOf(self, { ...contract, ...ending }));
    const part = { grid: grid.name, team: self.identity.id, name, id, items: itemsOf([], ends) };
    await handOn(world, { self, out }, part);
    return;
  }
  await cancelContracts({ follow, grid, self }, live);
  const open = known.filter((it) => !hasEnded(it)).map(({ contract }) => contract.id);
  await followEnded(follow, open);
  await eraseBodies({ follow, grid, self }, known);
  await removeDeployment(world.home, id);
  await forgetVolumeKeys(world.home, name);
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

type Ending = Cancelled & { readonly grid: string; readonly atMs: number };

/** The end of a contract, signed by this bot. */
export function cancellationOf(self: Self, { id, node, grid, atMs }: Ending): Envelope {
  const cancellation = { grid, contract: id, tenant: self.identity.id, node, atMs };
  return signCancellation(cancellation, self.keys.signing);
}

/** Signs and sends the end of contracts; the nodes do it when they read it. */
export async function cancelContracts(
  { follow, grid, self }: Canceller,
  contracts: readonly Cancelled[],
): Promise<void> {
  const { world } = follow;
  for (const { id, node } of contracts) {
    const cancellation = cancellationOf(self, { id, node, grid: grid.name, atMs: world.nowMs() });
    const letter = { cancellation, tenant: self.document };
    await grid.client.cancelContract(letter);
    // Should the directory keep it back, the node finds it there.
    await leaveLetter(world, letter);
    tell(follow, { subject: `node ${shortId(node)}`, state: 'cancelled', because: '' });
  }
}
