import type { Difference } from '../../lib/driver.ts';
import { type Graph, type Key, keyOf } from './graph.ts';
import type { Memory } from './memory.ts';

/** Something of ours that is on the machine. */
export type Found = {
  readonly kind: string;
  readonly id: string;
  /** From what is wanted; `null` when nobody wants it. */
  readonly difference: Difference | null;
  /** What it uses now, where its label says so. */
  readonly uses?: readonly Key[] | undefined;
};

export type Have = {
  readonly found: ReadonlyMap<Key, Found>;
  /** Kinds that could not be read, with the reason: nothing of theirs is touched. */
  readonly unseen: ReadonlyMap<string, string>;
  /** What an earlier step is still at work on, or will be, with what that step needs. */
  readonly busy: ReadonlyMap<Key, readonly Key[]>;
};

/** Everything that a plan is made from. */
export type Situation = {
  readonly want: Graph;
  readonly have: Have;
  readonly memory: Memory;
  readonly nowMs: number;
};

export type WorkStep = {
  readonly do: 'create' | 'update' | 'replace' | 'remove';
  readonly kind: string;
  readonly id: string;
  readonly because: string;
  /** Steps of the same plan, by `stepId`, that have to succeed before it. */
  readonly after: readonly string[];
};

export type WaitStep = {
  readonly do: 'wait';
  readonly kind: string;
  readonly id: string;
  readonly because:
    | 'fact'
    | 'item'
    | 'back-off'
    | 'gave-up'
    | 'unseen'
    | 'busy'
    | 'in-use'
    | 'hope';
  /** For people, with numbers; it holds no count-down, so that it changes only when things do. */
  readonly sentence: string;
  /** When time alone ends the wait. */
  readonly untilMs?: number;
};

export type Step = WorkStep | WaitStep;

/** Names a step in its plan. */
export function stepId(step: Pick<WorkStep, 'do' | 'kind' | 'id'>): string {
  return `${step.do} ${keyOf(step)}`;
}

/** A plan as people read it, one step a line. */
export function printPlan(steps: readonly Step[], nowMs: number): string {
  const lines = steps.map((step) => {
    if (step.do !== 'wait') {
      const after = step.after.length > 0 ? `, after ${step.after.join(' and ')}` : '';
      return `${stepId(step)}: ${step.because}${after}`;
    }
    const until = step.untilMs === undefined ? '' : `, ${(step.untilMs - nowMs) / 1000} s more`;
    return `wait ${keyOf(step)}: ${step.because}: ${step.sentence}${until}`;
  });
  return lines.length > 0 ? `${lines.join('\n')}\n` : 'nothing to do\n';
}
