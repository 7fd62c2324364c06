import type { SeenDisk } from './plan.ts';

/** What a data disk says of the node whose records are on it. */
export type DiskCopy = {
  readonly disk: SeenDisk;
  /** The node whose identity is on it; `null` on a disk that was just taken. */
  readonly node: string | null;
  /** Starts of the machine that were counted on it: the highest number is the newest copy. */
  readonly boots: number;
  /** The last number that the node gave to what it says. */
  readonly seq: number;
  /** The machine that wrote it last, as its board says; '' where it says nothing. */
  readonly machine: string;
};

/** Why a disk with our label is left alone. */
export type LeftDisk = {
  readonly disk: SeenDisk;
  readonly code: 'DISK_TWIN' | 'DISK_OF_ANOTHER';
  readonly because: string;
};

export type ChosenCopies = {
  /** The disks of this node, the newest copy of its records first. */
  readonly ours: readonly DiskCopy[];
  readonly left: readonly LeftDisk[];
};

/**
 * Whose node this machine is, by the data disks in it. Disks of one node belong together; of two
 * nodes it is the one that this machine was before, then the one that started more often. Of two
 * disks that are copies of each other, byte for byte, the newer one counts: both at once would be
 * two truths. What is left is not written to.
 */
export function chooseCopies(copies: readonly DiskCopy[], machine: string): ChosenCopies {
  const isOwn = (copy: DiskCopy): boolean => machine !== '' && copy.machine === machine;
  const ordered = copies.toSorted(
    (a, b) =>
      Number(isOwn(b)) - Number(isOwn(a)) ||
      b.boots - a.boots ||
      b.seq - a.seq ||
      a.disk.path.localeCompare(b.disk.path),
  );
  const node = ordered.find((copy) => copy.node !== null)?.node ?? null;
  const ours: DiskCopy[] = [];
  const left: LeftDisk[] = [];
  for (const copy of ordered.toSorted(
    (a, b) => Number(a.node === null) - Number(b.node === null),
  )) {
    const twin = ours.find(({ disk }) => uuidOf(disk) === uuidOf(copy.disk));
    if (copy.node !== null && copy.node !== node) {
      const because = `it is the data disk of another node, ${copy.node.slice(0, 12)}`;
      left.push({ disk: copy.disk, code: 'DISK_OF_ANOTHER', because });
    } else if (twin === undefined) ours.push(copy);
    else {
      const because = `it is a copy of ${twin.disk.path}, which is newer; one of the two is used`;
      left.push({ disk: copy.disk, code: 'DISK_TWIN', because });
    }
  }
  return { ours, left };
}

function uuidOf({ content, path }: SeenDisk): string {
  return content.kind === 'ext4' ? content.uuid : path;
}
