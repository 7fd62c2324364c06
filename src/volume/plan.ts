import { formatBytes, GiB } from '../lib/units.ts';

/** The label of the file system that is ours. */
export const DATA_LABEL = 'zos-data';
export const DATA_PATH = '/data';

/** A smaller disk is not worth taking. */
export const DATA_BYTES_MIN = GiB / 4;

/** A disk and what was seen on it. */
export type SeenDisk = {
  readonly path: string;
  readonly lengthBytes: number;
  readonly isRotating: boolean;
  readonly isReadOnly: boolean;
  readonly isRemovable: boolean;
  /** It is mounted, or has partitions, or something is built on it. */
  readonly isInUse: boolean;
  readonly content:
    | { readonly kind: 'blank' }
    | { readonly kind: 'ext4'; readonly label: string }
    | { readonly kind: 'foreign'; readonly because: string };
};

export type DataDiskStep =
  | { readonly do: 'mount'; readonly disk: SeenDisk; readonly because: 'labelled-ours' }
  | { readonly do: 'format'; readonly disk: SeenDisk; readonly because: 'blank-and-allowed' }
  | { readonly do: 'none'; readonly because: readonly string[] };

/**
 * Which disk holds the node's data. One with our label is used again; a wholly blank one is taken
 * only with the farmer's consent; nothing else is ever touched, and each refusal says why.
 */
export function planDataDisk(disks: readonly SeenDisk[], takeBlankDisks: boolean): DataDiskStep {
  const refusals = disks.map((disk) => ({ disk, because: refusalOf(disk, takeBlankDisks) }));
  const fit = refusals.filter(({ because }) => because === undefined).map(({ disk }) => disk);
  const ours = fit.find(({ content }) => content.kind === 'ext4');
  if (ours !== undefined) return { do: 'mount', disk: ours, because: 'labelled-ours' };
  const [best] = fit.toSorted(byWorth);
  if (best !== undefined) return { do: 'format', disk: best, because: 'blank-and-allowed' };
  const because = refusals.map(({ disk, because: why }) => `${disk.path}: ${why}`);
  return { do: 'none', because: because.length === 0 ? ['there is no disk'] : because };
}

function refusalOf(disk: SeenDisk, takeBlankDisks: boolean): string | undefined {
  if (disk.isReadOnly) return 'it is read-only';
  if (disk.content.kind === 'ext4') {
    if (disk.content.label !== DATA_LABEL) return 'it holds a file system of somebody else';
    return disk.isInUse ? 'it is in use' : undefined;
  }
  if (disk.content.kind === 'foreign') return disk.content.because;
  if (disk.isInUse) return 'it is in use';
  if (disk.isRemovable) return 'it can be taken out';
  if (disk.lengthBytes < DATA_BYTES_MIN) {
    return `it has ${formatBytes(disk.lengthBytes)} of the ${formatBytes(DATA_BYTES_MIN)} needed`;
  }
  return takeBlankDisks ? undefined : 'it is blank, and nobody allowed to take blank disks';
}

/** Solid-state first, then the larger one. */
function byWorth(a: SeenDisk, b: SeenDisk): number {
  if (a.isRotating !== b.isRotating) return a.isRotating ? 1 : -1;
  return b.lengthBytes - a.lengthBytes;
}
