import { SECOND_MS } from '../../lib/units.ts';
import { execute } from './execution.ts';
import type { Graph, Key } from './graph.ts';
import { forget, type Memory, remember } from './memory.ts';
import { type Drivers, haveOf, lookAround, NO_SIGHT, type Sight } from './observation.ts';
import { plan } from './plan.ts';
import type { Have, Step } from './step.ts';

const OBSERVE_MS_MAX = 20 * SECOND_MS;
const STEPS_AT_ONCE = 8;

/** One look at the machine and what follows from it. */
export type View = {
  readonly want: Graph;
  readonly have: Have;
  readonly sight: Sight;
  readonly steps: readonly Step[];
};

export type LoopParts = {
  readonly drivers: Drivers;
  /** The machine is looked at so often even when nobody says that something changed. */
  readonly lookAgainMs: number;
  /** How long one step may take. */
  readonly stepMsMax: number;
  /** What is wanted, which may lean on what is there (a port that the kernel chose). */
  readonly wantOf: (sight: Sight) => Graph;
  /** Told after every look, before its steps are carried out. */
  readonly onView: (view: View) => void;
  readonly onFailure: (key: Key, sentence: string) => void;
  /** Time that only runs forward, whatever the machine's clock is set to. */
  readonly clock: () => number;
  readonly chance: () => number;
};

export type Loop = {
  /** Says that something changed; many calls make one pass. */
  readonly wake: () => void;
  /** Runs until the signal fires; steps under way are told to stop, what runs is left alone. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/**
 * The agent's one loop: observe, plan, apply, observe again; one pass at a time. The whole machine
 * is looked at every `lookAgainMs`; in between only what was worked on, for nobody else works here.
 */
export function openLoop(parts: LoopParts): Loop {
  const { drivers, clock } = parts;
  let memory: Memory = new Map();
  let sight = NO_SIGHT;
  let stale: ReadonlySet<string> = new Set(drivers.keys());
  const busy = new Set<Key>();
  let alarm = Promise.withResolvers<void>();

  /** Does what is to be done; returns when time alone asks for another pass. */
  const pass = async (signal: AbortSignal): Promise<number> => {
    const look = { kinds: stale, last: sight, deadlineMs: OBSERVE_MS_MAX, signal };
    sight = await lookAround(drivers, look);
    if (signal.aborted) return clock();
    // What could not be read is read again in the next pass.
    stale = new Set(sight.unseen.keys());
    const want = parts.wantOf(sight);
    const have = haveOf(sight, want, { drivers, busy });
    const nowMs = clock();
    memory = forget(memory, { want, have, nowMs });
    const steps = plan({ want, have, memory, nowMs });
    parts.onView({ want, have, sight, steps });
    const work = steps.filter((step) => step.do !== 'wait');
    if (work.length === 0) return nextPassMs(steps, nowMs + parts.lookAgainMs);
    const outcomes = await execute({
      steps: work,
      want,
      sight,
      drivers,
      busy,
      deadlineMs: parts.stepMsMax,
      stepsAtOnce: STEPS_AT_ONCE,
      clock,
      signal,
    });
    memory = remember(memory, outcomes, parts.chance);
    for (const { key, failure } of outcomes) if (failure !== null) parts.onFailure(key, failure);
    // What was done is believed when it is seen. Every try has its back-off, so this ends.
    stale = new Set([...stale, ...work.map(({ kind }) => kind)]);
    return nowMs;
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    signal.addEventListener('abort', () => alarm.resolve(), { once: true });
    let wholeLookMs = clock();
    while (!signal.aborted) {
      alarm = Promise.withResolvers<void>();
      if (clock() >= wholeLookMs) {
        stale = new Set(drivers.keys());
        wholeLookMs = clock() + parts.lookAgainMs;
      }
      const nextMs = Math.min(await pass(signal), wholeLookMs);
      const timer = setTimeout(alarm.resolve, Math.max(0, nextMs - clock()));
      if (!signal.aborted) await alarm.promise;
      clearTimeout(timer);
    }
  };
  return { wake: () => alarm.resolve(), run };
}

function nextPassMs(steps: readonly Step[], latestMs: number): number {
  const ends = steps.flatMap((step) =>
    step.do === 'wait' && step.untilMs !== undefined ? [step.untilMs] : [],
  );
  return Math.min(latestMs, ...ends);
}
