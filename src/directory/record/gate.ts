import type { Recorder } from '../database/database.ts';
import type { RefusedError } from '../errors.ts';
import { appendEntries } from './append.ts';

/** Between the store, which records, and the publisher: lets entries in, and tells of them. */
export type Gate = Recorder & {
  /** Refuses what would be recorded from now on, or lets it in again. */
  readonly set: (refusal: RefusedError | undefined) => void;
  /** Waits until something was recorded since it was last asked, `waitMs` at the most. */
  readonly next: (waitMs: number, signal: AbortSignal) => Promise<void>;
};

/** A gate that lets in whatever comes until it is told otherwise. */
export function makeGate(): Gate {
  let refusal: RefusedError | undefined;
  let isRung = false;
  let ring: (() => void) | undefined;
  return {
    append: appendEntries,
    appended: () => {
      isRung = true;
      ring?.();
    },
    check: () => {
      if (refusal !== undefined) throw refusal;
    },
    set: (next) => {
      refusal = next;
    },
    next: async (waitMs, signal) => {
      if (!isRung && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const end = (): void => {
            clearTimeout(timer);
            signal.removeEventListener('abort', end);
            resolve();
          };
          const timer = setTimeout(end, waitMs);
          signal.addEventListener('abort', end, { once: true });
          ring = end;
        });
      }
      isRung = false;
    },
  };
}
