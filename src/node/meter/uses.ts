import type { Use } from '../../capacity/use/meter.ts';
import { containerIdOf, type ContainerHave } from '../../container/plan.ts';
import type { SignedContract } from '../../contract/verify.ts';
import type { Holdings } from '../holdings.ts';
import type { View } from '../loop/reconcile.ts';
import type { Uses } from './meters.ts';

/** What every contract that is held, or whose containers are still there, uses as it is seen. */
export function usesOf(holdings: Pick<Holdings, 'held' | 'ended'>, { sight }: View): Uses {
  const uses = new Map<string, ReadonlyMap<string, Use>>();
  const haveOf = (id: string): ContainerHave | undefined =>
    sight.things.get(`container ${id}`)?.have as ContainerHave | undefined;
  for (const contract of holdings.held.values()) uses.set(contract.id, usesIn(contract, haveOf));
  for (const contract of holdings.ended.values()) {
    const left = usesIn(contract, haveOf);
    if (left.size > 0) uses.set(contract.id, left);
  }
  return uses;
}

function usesIn(
  { id, workloads }: SignedContract,
  haveOf: (id: string) => ContainerHave | undefined,
): ReadonlyMap<string, Use> {
  const uses = new Map<string, Use>();
  for (const workload of workloads) {
    if (workload.kind !== 'container') continue;
    const container = containerIdOf(id, workload.name);
    const have = haveOf(container);
    if (have?.counts === null || have?.counts === undefined) continue;
    const run = `${have.pid} ${have.startedAtMs}`;
    uses.set(container, { run, ...have.counts, storageBytes: workload.image.lengthBytes });
  }
  return uses;
}
