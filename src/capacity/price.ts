import { z } from 'zod';
import {
  type Compute,
  computeUnitMicros,
  MICROS,
  type Storage,
  storageUnitMicros,
} from './units.ts';

/** A thousand of the grid's units for one cloud unit: sums of what is used stay whole numbers. */
export const PRICE_MICROS_MAX = 1000 * MICROS;

const priceSchema = z.int().min(0).max(PRICE_MICROS_MAX);

/** What cloud units cost, in millionths of the grid's unit of account; zero is free. */
export const pricesSchema = z.strictObject({
  /** Of one compute unit for an hour. */
  computeHourMicros: priceSchema,
  /** Of one storage unit for an hour. */
  storageHourMicros: priceSchema,
  /** Of one network unit, a GB of 10^9 bytes sent or received. */
  networkMicros: priceSchema,
});
export type Prices = z.infer<typeof pricesSchema>;

export const FREE: Prices = { computeHourMicros: 0, storageHourMicros: 0, networkMicros: 0 };

/** What is held or used of a node. */
export type Use = {
  readonly compute: Compute;
  readonly storage: Storage;
};

/** What so much costs an hour, in millionths, rounded down; networks are paid as they are used. */
export function hourMicros({ compute, storage }: Use, prices: Prices): number {
  const computed = BigInt(computeUnitMicros(compute)) * BigInt(prices.computeHourMicros);
  const stored = BigInt(storageUnitMicros(storage)) * BigInt(prices.storageHourMicros);
  return Number((computed + stored) / BigInt(MICROS));
}

/** Whether two price lists are the same. */
export function isSamePrices(a: Prices, b: Prices): boolean {
  return (
    a.computeHourMicros === b.computeHourMicros &&
    a.storageHourMicros === b.storageHourMicros &&
    a.networkMicros === b.networkMicros
  );
}

const WRITTEN = /^(?<whole>\d{1,4})(?:\.(?<part>\d{1,6}))?$/u;

/** Millionths of what people write, such as `0.0125`; `undefined` when it is not written so. */
export function parseMicros(text: string): number | undefined {
  const { whole, part = '' } = WRITTEN.exec(text.trim())?.groups ?? {};
  if (whole === undefined) return undefined;
  const micros = Number(whole) * MICROS + Number(part.padEnd(6, '0'));
  return micros <= PRICE_MICROS_MAX ? micros : undefined;
}

/** Millionths as people write them: `0.0125`, `3`. */
export function formatMicros(micros: number): string {
  const part = String(micros % MICROS)
    .padStart(6, '0')
    .replace(/0+$/u, '');
  return `${Math.floor(micros / MICROS)}${part === '' ? '' : `.${part}`}`;
}
