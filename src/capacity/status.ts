import { GiB, MiB } from '../lib/units.ts';
import type { Capacity, Offer } from './spec.ts';

/** What was counted on the machine. */
export type Inventory = {
  readonly board: string;
  readonly processor: string;
  readonly processorCount: number;
  readonly memoryBytes: number;
  readonly networkCards: readonly string[];
  readonly disks: readonly string[];
  /** The disk that holds images and data; none keeps them in memory. */
  readonly dataDisk: { readonly lengthBytes: number; readonly isRotating: boolean } | null;
};

/**
 * What the system takes: an idle agent and kernel were measured at 92 to 98 MB in a small machine,
 * this leaves the same again for its work. It is a number and no reading, so that a node offers the
 * same after each restart, whatever runs on it.
 */
export const RESERVE_BYTES = 192 * MiB;
/** The kernel keeps more books the more memory there is. */
const RESERVE_PARTS = 64;
/** Of a disk: file system structures, the node's own records, and air. */
const DISK_RESERVE_PARTS = 20;

/**
 * What a node can give: all processors, and memory and storage less what the system needs. Where
 * there is no solid-state disk, a quarter of the memory is given as storage: images lie in it.
 */
export function capacityOf(inventory: Inventory): Capacity {
  const freeBytes = Math.max(0, inventory.memoryBytes - reserveOf(inventory));
  const disk = inventory.dataDisk;
  const diskBytes =
    disk === null ? 0 : roundDown(disk.lengthBytes - diskReserveOf(disk.lengthBytes));
  const hasSsd = disk !== null && !disk.isRotating;
  const imageBytes = hasSsd ? 0 : roundDown(freeBytes / 4);
  return {
    cru: inventory.processorCount,
    mruBytes: roundDown(freeBytes - imageBytes),
    sruBytes: hasSsd ? diskBytes : imageBytes,
    hruBytes: hasSsd ? 0 : diskBytes,
  };
}

/** The memory that is kept for the system. */
function reserveOf({ memoryBytes }: Inventory): number {
  return RESERVE_BYTES + Math.ceil(memoryBytes / RESERVE_PARTS);
}

/** The facts for people in an offer, each as long as the offer allows. */
export function hardwareOf(inventory: Inventory): Offer['hardware'] {
  const text = (value: string): string => value.slice(0, 200);
  return {
    board: text(inventory.board),
    processor: text(inventory.processor),
    networkCards: inventory.networkCards.map(text).slice(0, 64),
    disks: inventory.disks.map(text).slice(0, 256),
  };
}

function diskReserveOf(lengthBytes: number): number {
  return Math.min(Math.ceil(lengthBytes / DISK_RESERVE_PARTS), 10 * GiB);
}

function roundDown(bytes: number): number {
  return Math.max(0, Math.floor(bytes / MiB) * MiB);
}
