import { SECOND_MS } from '../../lib/units.ts';
import { execute } from './execution.ts';
import type { Graph, Key } from './graph.ts';
import { forget, type Memory, remember } from './memory.ts';
import { type Drivers, haveOf, lookAround, type Sight } from './observation.ts';
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
  readonly clock: () => number;
  readonly chance: () => number;
};

export type Loop = {
  /** Says that something changed; many calls make one pass. */
  readonly wake: () => void;
  /** Runs until the signal fires; steps under way are told to stop, what runs is left alone. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/** The agent's one loop: observe, plan, apply, observe again; one pass at a time. */
export function openLoop(parts: LoopParts): Loop {
  let memory: Memory = new Map();
  const busy = new Set<Key>();
  let alarm = Promise.withResolvers<void>();

  /** Looks once, and does what is to be done; returns when time alone asks for another look. */
  const pass = async (signal: AbortSignal): Promise<number> => {
    const { drivers, clock } = parts;
    const sight = await lookAround(drivers, { deadlineMs: OBSERVE_MS_MAX, signal });
    if (signal.aborted) return clock();
    const want = parts.wantOf(sight);
    const have = haveOf(sight, want, { drivers, busy });
    const nowMs = clock();
    memory = forget(memory, { want, have, nowMs });
    const steps = plan({ want, have, memory, nowMs });
    parts.onView({ want, have, sight, steps });
    const work = steps.filter((step) => step.do !== 'wait');
    if (work.length === 0) return nextLookMs(steps, nowMs, parts.lookAgainMs);
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
    return nowMs;
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    signal.addEventListener('abort', () => alarm.resolve(), { once: true });
    while (!signal.aborted) {
      alarm = Promise.withResolvers<void>();
      const nextMs = await pass(signal);
      const delayMs = Math.max(0, nextMs - parts.clock());
      const timer = setTimeout(alarm.resolve, delayMs);
      if (!signal.aborted) await alarm.promise;
      clearTimeout(timer);
    }
  };
  return { wake: () => alarm.resolve(), run };
}

function nextLookMs(steps: readonly Step[], nowMs: number, lookAgainMs: number): number {
  const ends = steps.flatMap((step) =>
    step.do === 'wait' && step.untilMs !== undefined ? [step.untilMs] : [],
  );
  return Math.min(nowMs + lookAgainMs, ...ends);
}
