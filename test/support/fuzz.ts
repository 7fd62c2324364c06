import { ZosError } from '../../src/lib/errors.ts';
import { MiB } from '../../src/lib/units.ts';

/** A case that takes longer is tried again, since the machine may have been busy elsewhere. */
const CASE_MS_MAX = 50;
const TRIES = 5;
const GROWTH_BYTES_MAX = 256 * MiB;
const LOOK_EVERY = 10_000;
const LENGTH_BYTES_MAX = 4096;

export type FuzzWish = {
  /** For who reads the output. */
  readonly name: string;
  readonly cases: number;
  /** Good inputs, of which each case is a bad copy. */
  readonly seeds: readonly Uint8Array[];
  /** May throw a `ZosError` and nothing else. */
  readonly parse: (bytes: Uint8Array) => unknown;
};

/**
 * Gives a parser broken copies of good inputs. It may refuse with an error of ours; anything else,
 * a case that takes long, and memory that grows fail, with the seed that brings the case back:
 * `ZOS_FUZZ_SEED=… npx vitest run test/fuzz`. Answers how many it took: a parser that takes none
 * was never looked into.
 */
export async function fuzz({ name, cases, seeds, parse }: FuzzWish): Promise<number> {
  const seed = Number(process.env['ZOS_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`fuzz ${name}: ${cases} cases, ZOS_FUZZ_SEED=${seed}`);
  const chance = chanceOf(seed);
  const before = usedBytes();
  let accepted = 0;
  for (let at = 0; at < cases; at += 1) {
    const bytes = broken(seeds[below(chance, seeds.length)] ?? new Uint8Array(), chance);
    const said = async (): Promise<boolean> => {
      try {
        await parse(bytes);
        return true;
      } catch (error) {
        if (error instanceof ZosError) return false;
        const hex = Buffer.from(bytes).toString('hex').slice(0, 2000);
        throw new Error(`${name}, seed ${seed}, case ${at}: ${hex}`, { cause: error });
      }
    };
    const startedMs = performance.now();
    accepted += Number(await said());
    let tookMs = performance.now() - startedMs;
    for (let tries = 0; tookMs > CASE_MS_MAX && tries < TRIES; tries += 1) {
      const againMs = performance.now();
      await said();
      tookMs = Math.min(tookMs, performance.now() - againMs);
    }
    if (tookMs > CASE_MS_MAX) throw new Error(`${name}, seed ${seed}, case ${at}: ${tookMs} ms`);
    if (at % LOOK_EVERY === 0 && usedBytes() - before > GROWTH_BYTES_MAX) {
      throw new Error(`${name}, seed ${seed}: memory grew by ${usedBytes() - before} bytes`);
    }
  }
  for (const good of seeds) await parse(good);
  return accepted;
}

function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Mulberry32: small, fast, and the same everywhere. */
export function chanceOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function below(chance: () => number, end: number): number {
  return Math.floor(chance() * end);
}

const INTERESTING = [0x00, 0x01, 0x7f, 0x80, 0xff] as const;

/** A copy with a few things wrong with it. */
function broken(good: Uint8Array, chance: () => number): Uint8Array {
  let bytes: Uint8Array = good.slice();
  const changes = below(chance, 4);
  for (let change = 0; change <= changes; change += 1) {
    const at = below(chance, bytes.length + 1);
    switch (below(chance, 7)) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(chance, 8));
        break;
      case 1:
        bytes[at] = INTERESTING[below(chance, INTERESTING.length)] ?? 0;
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = joined(bytes.subarray(0, at), bytes.subarray(below(chance, bytes.length + 1)));
        break;
      case 4:
        bytes = joined(bytes.subarray(0, at), someBytes(chance), bytes.subarray(at));
        break;
      case 5: {
        // A length field that says anything.
        const field = [0xff, 0xff, 0xff, 0xff].map((most) => below(chance, most + 1));
        bytes.set(field.slice(0, Math.max(0, bytes.length - at)), at);
        break;
      }
      default:
        // Nothing is wrong in this place: now and then a whole copy is good.
        break;
    }
  }
  return bytes;
}

function someBytes(chance: () => number): Uint8Array {
  return Uint8Array.from({ length: below(chance, 16) }, () => below(chance, 256));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(Buffer.concat(parts));
  return whole.subarray(0, Math.max(LENGTH_BYTES_MAX, ...parts.map(({ length }) => length)));
}
