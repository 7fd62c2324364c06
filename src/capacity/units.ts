import { GiB } from '../lib/units.ts';

/**
 * Cloud units are counted in millionths, as whole numbers, and rounded down: what is sold by them
 * is never counted higher than it is.
 */
export const MICROS = 1_000_000;

/** What compute is counted in: thousandths of a logical processor, and memory. */
export type Compute = { readonly cpuMillis: number; readonly memoryBytes: number };

/** What storage is counted in: rotating and solid-state. */
export type Storage = { readonly hruBytes: number; readonly sruBytes: number };

/**
 * Millionths of a compute unit: min(max(m/4, c/2), max(m/8, c), max(m/2, c/4)) with c processors
 * and m GiB of memory, as the grid publishes it: balanced, or much of the one or of the other.
 */
export function computeUnitMicros({ cpuMillis, memoryBytes }: Compute): number {
  // All sides of the comparison in eighths of a thousandth of a GiB: nothing is rounded before.
  const c = BigInt(cpuMillis) * BigInt(GiB);
  const m = BigInt(memoryBytes) * 1000n;
  const eighths = least(most(2n * m, 4n * c), most(m, 8n * c), most(4n * m, 2n * c));
  return Number((eighths * BigInt(MICROS)) / (8n * 1000n * BigInt(GiB)));
}

/** Millionths of a storage unit: h/1200 + s/200 with h GiB rotating and s GiB solid-state. */
export function storageUnitMicros({ hruBytes, sruBytes }: Storage): number {
  const parts = BigInt(hruBytes) + 6n * BigInt(sruBytes);
  return Number((parts * BigInt(MICROS)) / (1200n * BigInt(GiB)));
}

/** Millionths of a network unit: GB of 10^9 bytes, sent and received. */
export function networkUnitMicros(bytes: number): number {
  return Number((BigInt(bytes) * BigInt(MICROS)) / 1_000_000_000n);
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function least(...numbers: readonly [bigint, ...bigint[]]): bigint {
  return numbers.reduce((lowest, number) => (number < lowest ? number : lowest));
}
