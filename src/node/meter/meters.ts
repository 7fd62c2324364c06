import { z } from 'zod';
import {
  addUses,
  type Meter,
  newTally,
  type Tally,
  tallySchema,
  type Use,
} from '../../capacity/use/meter.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { MiB, MINUTE_MS } from '../../lib/units.ts';

/** How often meters are told, and how much of one a power cut can take. */
const METER_MS = 15 * MINUTE_MS;
const FILE_BYTES_MAX = 16 * MiB;

const fileSchema = z.strictObject({ tallies: z.record(z.string().max(64), tallySchema) });

/** What contracts use, by their ids. */
export type Uses = ReadonlyMap<string, ReadonlyMap<string, Use>>;

export type Meters = {
  /** Adds what containers show now, of the contracts that are held or ending; forgets others. */
  readonly take: (uses: Uses, known: { readonly ending: ReadonlySet<string> }) => void;
  /** What may be told: it is on the disk, so whatever is told later is never less. */
  readonly meterOf: (contract: string) => Meter | undefined;
  /** Whether the last that an ending contract used can be told. */
  readonly isSettled: (contract: string) => boolean;
};

export type MetersParts = {
  readonly path: string;
  readonly clock: () => number;
  /** Milliseconds since some moment; setting the clock does not move it. */
  readonly steady: () => number;
  /** There is more to tell. */
  readonly onChange: () => void;
  readonly onTrouble: (what: string, error: unknown) => void;
};

/**
 * Opens the node's meters. Who can write the file can make the node tell less or more of what a
 * contract used; it is the node's word in either case, under its own signature.
 */
export async function openMeters(parts: MetersParts): Promise<Meters> {
  return new Ledger(parts, await load(parts));
}

async function load({ path, onTrouble }: MetersParts): Promise<Record<string, Tally>> {
  try {
    const text = await readText(path, FILE_BYTES_MAX);
    return text === undefined ? {} : fileSchema.parse(JSON.parse(text)).tallies;
  } catch (error) {
    onTrouble('meters', error);
    return {};
  }
}

class Ledger implements Meters {
  readonly #parts: MetersParts;
  #tallies: Map<string, Tally>;
  #told: ReadonlyMap<string, Tally>;
  readonly #settled = new Set<string>();
  #lookedMs: number | undefined;
  #writtenMs: number;
  #isWriting = false;

  constructor(parts: MetersParts, tallies: Record<string, Tally>) {
    this.#parts = parts;
    this.#tallies = new Map(Object.entries(tallies));
    this.#told = new Map(this.#tallies);
    this.#writtenMs = parts.steady();
  }

  take(uses: Uses, { ending }: { readonly ending: ReadonlySet<string> }): void {
    const steadyMs = this.#parts.steady();
    const nowMs = this.#parts.clock();
    const elapsedMs = steadyMs - (this.#lookedMs ?? steadyMs);
    this.#lookedMs = steadyMs;
    const tallies = new Map<string, Tally>();
    for (const [contract, own] of uses) {
      // Before anything of it ran there is nothing to count, and maybe no clock to begin by.
      const before = this.#tallies.get(contract) ?? (own.size > 0 ? newTally(nowMs) : undefined);
      if (before !== undefined) tallies.set(contract, addUses(before, own, { nowMs, elapsedMs }));
    }
    for (const contract of ending) {
      const before = this.#tallies.get(contract);
      if (before !== undefined && !tallies.has(contract)) tallies.set(contract, before);
    }
    this.#tallies = tallies;
    for (const contract of this.#settled) if (!ending.has(contract)) this.#settled.delete(contract);
    const open = [...ending].filter((id) => !uses.has(id) && !this.#settled.has(id));
    const isDue = open.length > 0 || steadyMs - this.#writtenMs >= METER_MS;
    if (isDue && !this.#isWriting) void this.#write(open);
  }

  meterOf(contract: string): Meter | undefined {
    return this.#told.get(contract)?.meter;
  }

  isSettled(contract: string): boolean {
    return this.#settled.has(contract);
  }

  /** On the disk before anybody hears of it. */
  async #write(settling: readonly string[]): Promise<void> {
    const { path, steady, onChange, onTrouble } = this.#parts;
    this.#isWriting = true;
    const tallies = new Map(this.#tallies);
    try {
      await writeDurably({ path, bytes: JSON.stringify({ tallies: Object.fromEntries(tallies) }) });
      this.#told = tallies;
    } catch (error) {
      // What was told before stays the word; an end does not wait for a disk that is full.
      onTrouble('meters', error);
    } finally {
      this.#isWriting = false;
      this.#writtenMs = steady();
    }
    for (const contract of settling) this.#settled.add(contract);
    onChange();
  }
}
