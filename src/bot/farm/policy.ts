import type { UpdatePolicy } from '../../rollout/spec.ts';
import { signUpdatePolicy, verifyUpdatePolicy } from '../../rollout/verify.ts';
import type { UpdatesAnswer } from '../../sdk/index.ts';
import { type Grid, openGrid } from '../grid.ts';
import {
  readFarms,
  readPolicy,
  readSelf,
  type SavedFarm,
  type Self,
  writePolicy,
} from '../store.ts';
import type { World } from '../world.ts';
import { chooseFarm } from './farm.ts';

/** A farm of this farmer: what was signed for it, and what the directory says of its nodes. */
export type FarmUpdates = {
  readonly world: World;
  readonly grid: Grid;
  readonly self: Self;
  readonly farm: SavedFarm;
  readonly policy: UpdatePolicy | null;
  /** The directory's word. */
  readonly said: UpdatesAnswer;
};

/** Opens a farm by its name, or the only one; throws `BotError` and what the checks throw. */
export async function openUpdates(world: World, name: string | undefined): Promise<FarmUpdates> {
  const self = await readSelf(world.home);
  const farm = chooseFarm(await readFarms(world.home), name);
  const grid = await openGrid(world);
  const said = await grid.client.updates(farm.id);
  const kept = await readPolicy(world.home, farm);
  const expected = { grid: grid.name, farm: farm.id };
  // A directory may show an older one than was signed here last, or none.
  const [policy = null] = [said.updatePolicy?.policy, kept]
    .filter((envelope) => envelope !== undefined)
    .map((envelope) => verifyUpdatePolicy(envelope, self.identity, expected))
    .sort((a, b) => b.version - a.version);
  return { world, grid, self, farm, policy, said };
}

/** What a first policy says where its farmer says nothing: the same as none. */
function emptyPolicy({ grid, self, farm }: FarmUpdates): UpdatePolicy {
  return {
    grid: grid.name,
    farm: farm.id,
    farmer: self.identity.id,
    version: 0,
    window: null,
    sharePercent: 1,
    stopped: [],
    forgiven: [],
  };
}

/** Signs the next version with a change, and hands it to the directory. */
export async function signNext(
  updates: FarmUpdates,
  change: (policy: UpdatePolicy) => Partial<UpdatePolicy>,
): Promise<UpdatePolicy> {
  const { world, grid, self, farm } = updates;
  const before = updates.policy ?? emptyPolicy(updates);
  const next = { ...before, version: before.version + 1 };
  const policy = { ...next, ...change(next) };
  const envelope = signUpdatePolicy(policy, self.keys.signing);
  await grid.client.putUpdatePolicy(farm.id, envelope);
  await writePolicy(world.home, farm, envelope);
  return policy;
}
