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
  /** The disks that hold images and data, the first first; none keeps them in memory. */
  readonly dataDisks: readonly { readonly lengthBytes: number; readonly class: 'ssd' | 'hdd' }[];
};

/** Of a disk: file system structures, the node's own records, and air. */
const DISK_RESERVE_PARTS = 20;

/**
 * What a node can give: all processors, and memory and storage less what the system keeps. Where
 * there is no solid-state disk, a quarter of the memory is given as storage: images lie in it.
 */
export function capacityOf(inventory: Inventory, reserveBytes: number): Capacity {
  const freeBytes = Math.max(0, inventory.memoryBytes - reserveBytes);
  const bytesOf = (kind: 'ssd' | 'hdd'): number =>
    inventory.dataDisks
      .filter((disk) => disk.class === kind)
      .reduce((sum, { lengthBytes }) => sum + lengthBytes - diskReserveOf(lengthBytes), 0);
  const hasSsd = inventory.dataDisks.some((disk) => disk.class === 'ssd');
  const imageBytes = hasSsd ? 0 : roundDown(freeBytes / 4);
  return {
    cru: inventory.processorCount,
    mruBytes: roundDown(freeBytes - imageBytes),
    sruBytes: hasSsd ? roundDown(bytesOf('ssd')) : imageBytes,
    hruBytes: roundDown(bytesOf('hdd')),
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
  if (inventory.dataDisks.length > 0) has.add('data-disk');
  if (hasTpm) has.add('tpm');
  if (flags.has('vmx') || flags.has('svm')) has.add('virtualization');
  for (const [level, needed] of LEVELS) {
    if (!needed.every((flag) => flags.has(flag))) break;
    has.add(level);
  }
  return FEATURES.filter((feature) => has.has(feature));
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
