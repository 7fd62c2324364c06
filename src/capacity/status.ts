import { GiB, MiB } from '../lib/units.ts';
import { type Capacity, type Feature, FEATURES, type Offer } from './spec.ts';

/** What was counted on the machine. */
export type Inventory = {
  readonly board: string;
  readonly processor: string;
  readonly processorCount: number;
  /** By the kernel's names. */
  readonly processorFlags: readonly string[];
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

/** The levels of the x86-64 psABI, each with what it adds to the one before. */
const LEVELS: readonly (readonly [Feature, readonly string[]])[] = [
  ['x86-64-v2', ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']],
  ['x86-64-v3', ['abm', 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'movbe', 'xsave']],
  ['x86-64-v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
];

/** What the hardware can do, by the words of an offer, in their order. */
export function featuresOf(inventory: Inventory, hasTpm: boolean): Feature[] {
  const flags = new Set(inventory.processorFlags);
  const has = new Set<Feature>();
  if (inventory.dataDisk !== null) has.add('data-disk');
  if (hasTpm) has.add('tpm');
  if (flags.has('vmx') || flags.has('svm')) has.add('virtualization');
  for (const [level, needed] of LEVELS) {
    if (!needed.every((flag) => flags.has(flag))) break;
    has.add(level);
  }
  return FEATURES.filter((feature) => has.has(feature));
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
