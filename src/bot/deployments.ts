import { NO_RESOURCES, type Resources } from '../capacity/spec.ts';
import type { SignedContract } from '../contract/verify.ts';
import { nearest } from './deployment/suggest.ts';
import type { HeldContract } from './deployment/compile.ts';
import type { Placement } from './deployment/plan.ts';
import { BotError } from './errors.ts';
import type { Books, Grid, KnownContract } from './grid.ts';
import { type StandingVolume, standingVolumes } from './volumes/standing.ts';
import { readDeployments, type SavedDeployment } from './store.ts';
import type { World } from './world.ts';

/** A deployment as this bot remembers it, or one contract that it found at the directory. */
export type FoundDeployment = Pick<SavedDeployment, 'id' | 'name' | 'contracts'>;

/** States of a contract in which nothing of it runs, or will. */
const OVER: ReadonlySet<string> = new Set(['refused', 'released', 'ended', 'expired']);

type Search = { readonly wanted: string; readonly tenant: string };

/**
 * A deployment by its name, by the first digits of its id, or by those of a contract's id when the
 * bot's own memory is lost: the directory keeps every contract by its tenant. Throws `BotError`.
 */
export async function findDeployment(
  world: World,
  grid: Grid,
  { wanted, tenant }: Search,
): Promise<FoundDeployment> {
  const saved = await readDeployments(world.home);
  const byName = saved.find(({ name }) => name === wanted);
  if (byName !== undefined) return byName;
  const prefix = /^[0-9a-f]{4,64}$/.test(wanted) ? wanted : null;
  const found: FoundDeployment[] = saved.filter(
    ({ id }) => prefix !== null && id.startsWith(prefix),
  );
  if (found.length === 0 && prefix !== null) {
    const ids = await listContractIds(grid, tenant);
    found.push(...ids.filter((id) => id.startsWith(prefix)).map(foundAlone));
  }
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  if (found.length > 1) {
    const sentence = `${found.length} deployments begin with ${wanted}; write more of the id.`;
    throw new BotError('DEPLOYMENT_UNKNOWN', sentence);
  }
  const names = saved.map(({ name }) => name);
  const near = nearest(wanted, names);
  const advice = near === undefined ? 'see `zos deployments`.' : `did you mean ${near}?`;
  throw new BotError('DEPLOYMENT_UNKNOWN', `There is no deployment ${wanted}; ${advice}`);
}

/** A contract that no deployment of this bot's memory holds, as one of its own. */
export function foundAlone(contract: string): FoundDeployment {
  const id = contract.slice(0, 10);
  return { id, name: id, contracts: [contract] };
}

/** Every contract of a tenant that is not over, by id. */
export async function listContractIds(grid: Grid, tenant: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: Awaited<ReturnType<Grid['client']['contracts']>> = await grid.client.contracts({
      tenant,
      cursor,
    });
    ids.push(...page.items.filter(({ state }) => !OVER.has(state)).map(({ id }) => id));
    cursor = page.next;
  }
  return ids;
}

/** Whether a contract holds its node's room, now or as soon as its node takes it. */
export function isLive({ state, receipt }: KnownContract): boolean {
  return receipt?.state !== 'ended' && !OVER.has(state) && state !== 'cancelled';
}

/** What of a deployment stands already, so that deploying its name again changes it. */
export type Standing = {
  readonly id: string | null;
  readonly contracts: readonly { readonly id: string; readonly node: string }[];
  /** By node id. */
  readonly held: ReadonlyMap<string, HeldContract>;
  readonly reserved: ReadonlyMap<string, Resources>;
  readonly placement: Placement;
  /** What holds data now. */
  readonly volumes: readonly StandingVolume[];
};

/** Reads the live contracts of the deployment of this name; throws when one waits for its node. */
export async function standingOf(world: World, books: Books, name: string): Promise<Standing> {
  const saved = (await readDeployments(world.home)).find((it) => it.name === name);
  const known = await books.contracts(saved?.contracts ?? []);
  const live = known.filter(isLive);
  const held = live.map((it) => it.held ?? refusePending(name, it.contract));
  const containers = held.flatMap(({ node, workloads }) =>
    workloads.flatMap((it) => (it.kind === 'container' ? [[it.name, node] as const] : [])),
  );
  return {
    id: live.length === 0 ? null : (saved?.id ?? null),
    contracts: held.map(({ id, node }) => ({ id, node })),
    held: new Map(held.map((it) => [it.node, it])),
    reserved: new Map(held.map((it) => [it.node, it.resources ?? NO_RESOURCES])),
    placement: new Map(containers),
    volumes: standingVolumes(held),
  };
}

function refusePending(name: string, { node }: SignedContract): never {
  throw new BotError(
    'DEPLOYMENT_MOVED',
    `${name} was just sent, and node ${node.slice(0, 10)} has not answered yet; ` +
      'deploy again in a minute.',
  );
}
