import { FEATURES, type Feature } from './spec.ts';
import { computeUnitMicros, MICROS, storageUnitMicros } from './units.ts';

/** What is asked for of one node; what is not said does not matter. */
export type CapacityWish = {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ssdBytes: number;
  readonly hddBytes: number;
};

/** Features as one number, a bit each in the order of `FEATURES`. */
export function featureBits(features: readonly Feature[]): number {
  return features.reduce((bits, feature) => bits + 2 ** FEATURES.indexOf(feature), 0);
}

/**
 * The thousandths of cloud units that a wish is counted as when it is held against a price, rounded
 * up: so much times the highest price is still a whole number.
 */
export function unitMillis(wish: CapacityWish): { computeMillis: number; storageMillis: number } {
  const { cpuMillis, memoryBytes, ssdBytes, hddBytes } = wish;
  const compute = computeUnitMicros({ cpuMillis, memoryBytes });
  const storage = storageUnitMicros({ sruBytes: ssdBytes, hruBytes: hddBytes });
  const inMillis = (micros: number): number => Math.ceil((micros * 1000) / MICROS);
  return { computeMillis: inMillis(compute), storageMillis: inMillis(storage) };
}
