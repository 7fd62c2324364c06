import { MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import { type Graph, type Key, kindOf } from './graph.ts';
import type { Have } from './step.ts';

/** After so many tries that did not last, an item counts as failed and is tried rarely. */
export const TRIES_MAX = 8;
/** So long something has to stand as it should until its tries are forgotten. */
export const STABLE_MS = MINUTE_MS;
const BACK_OFF_MS = SECOND_MS;
const BACK_OFF_MS_MAX = 2 * MINUTE_MS;
/** So long an item that was given up rests before it is tried again. */
export const GAVE_UP_MS = 15 * MINUTE_MS;

/** What the loop remembers of an item's tries; it goes with the process, which does no harm. */
export type Attempt = {
  /** Of the wish that was tried: another wish starts anew. */
  readonly digest: string;
  readonly tries: number;
  readonly lastAtMs: number;
  readonly nextAtMs: number;
  readonly gaveUp: boolean;
  /** How the last try failed; nothing when it worked and the thing did not stay. */
  readonly failure: string | null;
};
export type Memory = ReadonlyMap<Key, Attempt>;

/** The digest of the wish that something be gone. */
export const GONE = 'gone';

export type Outcome = {
  readonly key: Key;
  readonly digest: string;
  readonly failure: string | null;
  readonly atMs: number;
};

/**
 * The memory after a round of steps. Every try counts, also one that worked: a container that
 * starts well and ends at once has to be slowed down as one that can't start. `jitter` in [0, 1)
 * spreads the next try over the second half of its delay.
 */
export function remember(
  memory: Memory,
  outcomes: readonly Outcome[],
  jitter: () => number,
): Memory {
  const next = new Map(memory);
  for (const { key, digest, failure, atMs } of outcomes) {
    const before = next.get(key);
    const tries = (before?.digest === digest ? before.tries : 0) + 1;
    const gaveUp = tries >= TRIES_MAX;
    const delayMs = gaveUp ? GAVE_UP_MS : Math.min(BACK_OFF_MS * 2 ** (tries - 1), BACK_OFF_MS_MAX);
    const nextAtMs = atMs + Math.round(delayMs * (0.5 + jitter() / 2));
    next.set(key, { digest, tries, lastAtMs: atMs, nextAtMs, gaveUp, failure });
  }
  return next;
}

/** Forgets the tries of what stands as it should for long enough, and of what is no more. */
export function forget(memory: Memory, world: { want: Graph; have: Have; nowMs: number }): Memory {
  const { want, have, nowMs } = world;
  const kept = [...memory].filter(([key, attempt]) => {
    const found = have.found.get(key);
    const item = want.items.get(key);
    if (item === undefined) return found !== undefined || have.unseen.has(kindOf(key));
    const isFine = found?.difference?.change === 'none';
    return !(isFine && nowMs - attempt.lastAtMs >= STABLE_MS);
  });
  return kept.length === memory.size ? memory : new Map(kept);
}
