import { formatBytes, GiB } from '../lib/units.ts';

/** The label of the file systems that are ours. */
export const DATA_LABEL = 'zos-data';
/** Where the node's own records and images are: on the first data disk. */
export const DATA_PATH = '/data';
/** Where every data disk is, by its serial number. */
export const DISKS_PATH = '/run/zos/disks';

/** A smaller disk is not worth taking. */
export const DATA_BYTES_MIN = GiB / 4;

/** What a disk is by its measured speed, whatever it says of itself. */
export type DiskClass = 'ssd' | 'hdd';

/** A disk and what was seen on it. */
export type SeenDisk = {
  readonly path: string;
  /** '' when it has none: it can be used, and no consent can name it. */
  readonly serial: string;
  readonly model: string;
  readonly lengthBytes: number;
  readonly isRotating: boolean;
  readonly isReadOnly: boolean;
  readonly isRemovable: boolean;
  readonly partitionCount: number;
  /** It or a partition of it is mounted, or something is built on it. */
  readonly isInUse: boolean;
  readonly content:
    | { readonly kind: 'blank' }
    | { readonly kind: 'ext4'; readonly label: string; readonly uuid: string }
    | { readonly kind: 'foreign'; readonly because: string };
};

/** A data disk that is open. */
export type OpenDisk = {
  /** The folder that it is mounted at, below `DISKS_PATH`. */
  readonly path: string;
  readonly device: string;
  readonly serial: string;
  readonly class: DiskClass;
  readonly lengthBytes: number;
};

export type RefusedDisk = { readonly disk: SeenDisk; readonly because: string };

/** What becomes of each disk of the machine. */
export type DisksPlan = {
  /** They have our label. */
  readonly use: readonly SeenDisk[];
  /** Wholly blank, and allowed by the farmer to be taken; the best first. */
  readonly format: readonly SeenDisk[];
  readonly refused: readonly RefusedDisk[];
};

/**
 * Which disks hold the node's data. Those with our label are used again; wholly blank ones are
 * taken only with the farmer's consent; nothing else is ever touched, and each refusal says why.
 */
export function planDataDisks(disks: readonly SeenDisk[], takeBlankDisks: boolean): DisksPlan {
  const judged = disks.map((disk) => ({ disk, because: refusalOf(disk, takeBlankDisks) }));
  const fit = judged.filter(({ because }) => because === undefined).map(({ disk }) => disk);
  return {
    use: fit.filter(({ content }) => content.kind === 'ext4'),
    format: fit.filter(({ content }) => content.kind === 'blank').toSorted(byWorth),
    refused: judged.flatMap(({ disk, because }) =>
      because === undefined ? [] : [{ disk, because }],
    ),
  };
}

/** The farmer's word on one disk: to take it while it is blank, or to wipe whatever is on it. */
export type DiskWord = { readonly serial: string; readonly do: 'take' | 'wipe' };

/** The one disk that a consent names, or why nothing is done by it. */
export function planConsent(
  disks: readonly SeenDisk[],
  word: DiskWord,
): { readonly disk: SeenDisk } | { readonly because: string } {
  const named = disks.filter(({ serial }) => serial !== '' && serial === word.serial);
  const [disk] = named;
  if (disk === undefined) return { because: `no disk has the serial number ${word.serial}` };
  if (named.length > 1) {
    const paths = named.map(({ path }) => path).join(' and ');
    return { because: `${paths} have the same serial number; take one of them out` };
  }
  const because = word.do === 'take' ? takeRefusal(disk) : wipeRefusal(disk);
  return because === undefined ? { disk } : { because: `${disk.path}: ${because}` };
}

/** Whether it has our label. */
export function isLabelledOurs({ content }: SeenDisk): boolean {
  return content.kind === 'ext4' && content.label === DATA_LABEL;
}

function refusalOf(disk: SeenDisk, takeBlankDisks: boolean): string | undefined {
  if (isLabelledOurs(disk)) {
    if (disk.isReadOnly) return 'it is read-only';
    return disk.isInUse ? 'it is in use' : undefined;
  }
  const because = takeRefusal(disk);
  if (because !== undefined) return because;
  if (disk.isRemovable) return 'it can be taken out';
  return takeBlankDisks ? undefined : 'it is blank, and nobody allowed to take blank disks';
}

function takeRefusal(disk: SeenDisk): string | undefined {
  if (disk.isReadOnly) return 'it is read-only';
  if (disk.content.kind === 'ext4') return 'it holds a file system of somebody else';
  if (disk.content.kind === 'foreign') return disk.content.because;
  if (disk.isInUse || disk.partitionCount > 0) return 'it is in use';
  return sizeRefusal(disk);
}

function wipeRefusal(disk: SeenDisk): string | undefined {
  if (disk.isReadOnly) return 'it is read-only';
  if (disk.isInUse) return 'it is in use';
  return sizeRefusal(disk);
}

function sizeRefusal({ lengthBytes }: SeenDisk): string | undefined {
  if (lengthBytes >= DATA_BYTES_MIN) return undefined;
  return `it has ${formatBytes(lengthBytes)} of the ${formatBytes(DATA_BYTES_MIN)} needed`;
}

/** Solid-state first, then the larger one. */
function byWorth(a: SeenDisk, b: SeenDisk): number {
  if (a.isRotating !== b.isRotating) return a.isRotating ? 1 : -1;
  return b.lengthBytes - a.lengthBytes;
}
