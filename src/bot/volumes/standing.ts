import type { Contract, Workload } from '../../contract/spec.ts';
import { formatBytes } from '../../lib/units.ts';
import type { Volume } from '../../volume/spec.ts';
import type { Placement } from '../deployment/plan.ts';
import type { ContainerWish } from '../deployment/spec.ts';
import { BotError } from '../errors.ts';
import { shortId } from '../terminal.ts';

/** Volumes with data in them, each on its node. */
export type StandingVolume = { readonly node: string; readonly volume: Volume };

/** The volumes of contracts that nodes hold. */
export function standingVolumes(
  held: readonly { readonly node: string; readonly workloads: readonly Workload[] }[],
): readonly StandingVolume[] {
  return held.flatMap(({ node, workloads }) =>
    workloads.flatMap((volume) => (volume.kind === 'volume' ? [{ node, volume }] : [])),
  );
}

/** Containers that can go nowhere else: their data is where it is. */
export function pinnedBy(
  containers: readonly Pick<ContainerWish, 'name' | 'volumes'>[],
  standing: readonly StandingVolume[],
): Placement {
  return new Map(
    containers.flatMap(({ name, volumes }) => {
      const there = standing.find(({ volume }) => volumes.some((it) => it.name === volume.name));
      return there === undefined ? [] : [[name, there.node] as const];
    }),
  );
}

/** Throws `BotError` when data would be erased that nobody said is to be. */
export function refuseLoss(
  standing: readonly StandingVolume[],
  contracts: readonly Pick<Contract, 'node' | 'workloads'>[],
  erase: readonly string[],
): void {
  for (const { node, volume } of standing) {
    const { name, lengthBytes, format } = volume;
    const next = contracts
      .find((contract) => contract.node === node)
      ?.workloads.find((it) => it.kind === 'volume' && it.name === name);
    if (next?.kind !== 'volume') {
      if (erase.includes(name)) continue;
      throw new BotError(
        'VOLUME_LOST',
        `Volume ${name} on node ${shortId(node)} would be erased with all that is in it; ` +
          `keep it in the file, or say --erase ${name}.`,
      );
    }
    if (next.format !== format || next.class !== volume.class) {
      throw new BotError(
        'VOLUME_LOST',
        `Volume ${name} is ${format} on ${volume.class} and can't become ${next.format} on ` +
          `${next.class}; take another name for that.`,
      );
    }
    if (next.lengthBytes >= lengthBytes) continue;
    throw new BotError(
      'VOLUME_LOST',
      `Volume ${name} has ${formatBytes(lengthBytes)} and can't shrink to ` +
        `${formatBytes(next.lengthBytes)}; write as much or more.`,
    );
  }
}
