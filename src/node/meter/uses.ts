import type { Use } from '../../capacity/use/meter.ts';
import { containerIdOf, type ContainerHave } from '../../container/plan.ts';
import type { SignedContract } from '../../contract/verify.ts';
import type { VolumeHave } from '../../volume/plan.ts';
import type { Holdings } from '../holdings.ts';
import type { View } from '../loop/reconcile.ts';
import { volumesIn } from '../volumes/wishes.ts';
import type { Uses } from './meters.ts';

/** What every contract that is held, or whose containers are still there, uses as it is seen. */
export function usesOf(holdings: Pick<Holdings, 'held' | 'ended'>, { sight }: View): Uses {
  const uses = new Map<string, ReadonlyMap<string, Use>>();
  // The loop keeps what each driver saw as it is.
  const haveOf = (id: string): ContainerHave | undefined =>
    sight.things.get(`container ${id}`)?.have as ContainerHave | undefined;
  const volumes = Map.groupBy(volumesIn(sight), ({ label }) => label?.contract);
  const usesIn = (contract: SignedContract): ReadonlyMap<string, Use> => {
    const own = containerUses(contract, haveOf);
    for (const volume of volumes.get(contract.id) ?? []) addVolume(own, volume);
    return own;
  };
  for (const contract of holdings.held.values()) uses.set(contract.id, usesIn(contract));
  for (const contract of holdings.ended.values()) {
    const left = usesIn(contract);
    if (left.size > 0) uses.set(contract.id, left);
  }
  return uses;
}

/** Reserved is used: what a tenant may write is kept from all others. */
function addVolume(uses: Map<string, Use>, { id, label, filePath, fileBytes }: VolumeHave): void {
  if (filePath === undefined) return;
  const nothing = { cpuMs: 0, receivedBytes: 0, sentBytes: 0, memoryBytes: 0 };
  const storageBytes = Math.floor(fileBytes / (label?.class === 'ssd' ? 1 : ROTATING_PARTS));
  uses.set(`volume ${id}`, { ...nothing, run: 'volume', storageBytes });
}

/** So much rotating storage is worth as much as one of solid-state (`storageUnitMicros`). */
const ROTATING_PARTS = 6;

function containerUses(
  { id, workloads }: SignedContract,
  haveOf: (id: string) => ContainerHave | undefined,
): Map<string, Use> {
  const uses = new Map<string, Use>();
  for (const workload of workloads) {
    if (workload.kind !== 'container') continue;
    const container = containerIdOf(id, workload.name);
    const have = haveOf(container);
    if (have?.counts === null || have?.counts === undefined) continue;
    // By the clock it would be another run whenever that is set, and be counted twice.
    const run = `${have.pid} ${have.startTicks}`;
    uses.set(container, { run, ...have.counts, storageBytes: workload.image.lengthBytes });
  }
  return uses;
}
