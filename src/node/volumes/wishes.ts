import type { VolumeMount } from '../../container/plan.ts';
import type { Container } from '../../container/spec.ts';
import { volumeBindingOf, volumeSecretKey } from '../../contract/checks/body.ts';
import type { VerifiedContract } from '../../contract/verify.ts';
import { formatBytes } from '../../lib/units.ts';
import {
  type VolumeDisk,
  volumeDevicePath,
  type VolumeHave,
  type VolumeLabel,
  volumeIdOf,
  volumeMountPath,
  type VolumeSpec,
} from '../../volume/plan.ts';
import type { Volume } from '../../volume/spec.ts';
import { type Fact, type Item, itemOf } from '../loop/graph.ts';
import type { Sight } from '../loop/observation.ts';

/** What the wishes of volumes lean on. */
export type VolumesGround = {
  readonly disks: readonly VolumeDisk[];
  /** Every volume that is on the machine. */
  readonly found: readonly VolumeHave[];
  /** Whether this node knows that a contract which it does not hold is over. */
  readonly isOver: (whose: Pick<VolumeLabel, 'contract' | 'tenant'>) => boolean;
};

type Ground = {
  readonly contracts: readonly VerifiedContract[];
  readonly nowMs: number;
  readonly isClockSynced: boolean;
  readonly volumes: VolumesGround;
};

/** The volumes among everything that the drivers saw. */
export function volumesIn({ things }: Pick<Sight, 'things'>): readonly VolumeHave[] {
  // The loop keeps what each driver saw as it is: these are the volume driver's.
  const volumes: VolumeHave[] = [];
  for (const { kind, have } of things.values()) {
    if (kind === 'volume') volumes.push(have as VolumeHave);
  }
  return volumes;
}

/** What the wishes of volumes lean on, as it is now. */
export function volumesGround(
  { volumeDisks }: { readonly volumeDisks: () => readonly VolumeDisk[] },
  { isOver }: Pick<VolumesGround, 'isOver'>,
  sight: Pick<Sight, 'things'>,
): VolumesGround {
  return { disks: volumeDisks(), found: volumesIn(sight), isOver };
}

/** Whether the private body of a contract is here: it may have to come again after a start. */
export function bodyFact({ id, body, private: secrets }: VerifiedContract): readonly Fact[] {
  if (body === null) return [];
  const because = 'the directory has not sent it again since this start';
  return [{ key: `private-body ${id}`, isMet: secrets !== null, because }];
}

/** Whether there is a disk for each volume of a contract. */
export function volumeFacts(
  { id, workloads }: VerifiedContract,
  { disks, found }: VolumesGround,
): readonly Fact[] {
  return workloads.flatMap((volume) => {
    if (volume.kind !== 'volume') return [];
    const volumeId = volumeIdOf(id, volume.name);
    const have = found.find((it) => it.id === volumeId);
    const key = `volume-disk ${volumeId}`;
    if (have?.label?.isWhole === true) {
      const because = `its disk ${have.label.disk} is not here`;
      return [{ key, isMet: have.filePath !== undefined, because }];
    }
    const isMet = disks.some((disk) => disk.class === volume.class);
    const size = formatBytes(volume.lengthBytes);
    return [{ key, isMet, because: `no ${volume.class} data disk is here for ${size}` }];
  });
}

/** One item a volume. */
export function volumeItems(contract: VerifiedContract): readonly Item[] {
  return contract.workloads.flatMap((workload) => {
    if (workload.kind !== 'volume') return [];
    const spec = volumeSpecOf(contract, workload);
    const deps = ['clock-synced', 'may-start', `contract-valid ${contract.id}`];
    deps.push(`private-body ${contract.id}`, `volume-disk ${spec.id}`);
    return [itemOf({ kind: 'volume', id: spec.id, spec, deps })];
  });
}

function volumeSpecOf(contract: VerifiedContract, volume: Volume): VolumeSpec {
  const { grid, tenant, node, id, notAfterMs } = contract;
  const { name, format, lengthBytes } = volume;
  return {
    id: volumeIdOf(id, name),
    contract: id,
    tenant,
    class: volume.class,
    format,
    lengthBytes,
    ownerId: ownerOf(name, contract),
    notAfterMs,
    key: {
      sealed: contract.private?.secrets[volumeSecretKey(name)] ?? '',
      binding: volumeBindingOf({ grid, tenant, node, name }),
    },
  };
}

const NOBODY = 65_534;

/** The user of the first container that it is given to. */
function ownerOf(volume: string, { workloads }: VerifiedContract): number {
  const first = workloads.find(
    (it) => it.kind === 'container' && it.volumes?.some((mount) => mount.volume === volume),
  );
  return first?.kind === 'container' ? first.uid : NOBODY;
}

/** Where a container finds its volumes; nothing at all where it has none. */
export function mountsOf(
  { id, workloads }: VerifiedContract,
  { volumes = [] }: Container,
): { readonly mounts?: readonly VolumeMount[] } {
  if (volumes.length === 0) return {};
  const mounts = volumes.map(({ volume, path }): VolumeMount => {
    const found = workloads.find((it) => it.kind === 'volume' && it.name === volume);
    const volumeId = volumeIdOf(id, volume);
    return found?.kind === 'volume' && found.format === 'raw'
      ? { source: volumeDevicePath(volumeId), path, kind: 'device' }
      : { source: volumeMountPath(volumeId), path, kind: 'folder' };
  });
  return { mounts };
}

/**
 * Volumes that no contract here names, and of which nobody is known to have ended the contract: a
 * damaged file must not cost a tenant's data. They stay until their contract's end is past.
 */
export function keptVolumes(ground: Ground): readonly Item[] {
  const { contracts, nowMs, isClockSynced } = ground;
  const { found, isOver } = ground.volumes;
  const held = new Set(contracts.map(({ id }) => id));
  return found.flatMap(({ id, label }) => {
    if (label !== undefined) {
      const { contract, notAfterMs, isWhole } = label;
      const isPast = isClockSynced && nowMs >= notAfterMs;
      if (held.has(contract) || isOver(label) || isPast || !isWhole) return [];
    }
    return [itemOf({ kind: 'volume', id, spec: { id, isKept: true }, deps: [] })];
  });
}
