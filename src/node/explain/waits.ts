import { type Key, keyOf } from '../loop/graph.ts';
import type { View } from '../loop/reconcile.ts';
import type { WaitStep } from '../loop/step.ts';

/** The loop's last look, and since when each thing waits. */
export type Waits = {
  readonly take: (view: View) => void;
  readonly view: () => View | undefined;
  /** On the loop's own clock. */
  readonly sinceMs: (wait: WaitStep) => number;
};

/** Numbers in a sentence change while one waits for the same: what counts is for what. */
export function openWaits(steady: () => number): Waits {
  let last: View | undefined;
  let since = new Map<Key, number>();
  return {
    take: (view) => {
      const nowMs = steady();
      const waits = view.steps.filter((step) => step.do === 'wait').map(nameOf);
      since = new Map(waits.map((name) => [name, since.get(name) ?? nowMs]));
      last = view;
    },
    view: () => last,
    sinceMs: (wait) => since.get(nameOf(wait)) ?? steady(),
  };
}

function nameOf(wait: WaitStep): string {
  return `${keyOf(wait)} ${wait.because}`;
}
