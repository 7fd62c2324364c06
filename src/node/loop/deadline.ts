import { ZosError } from '../../lib/errors.ts';
import { formatDuration } from '../../lib/units.ts';

export class DeadlineError extends ZosError<'DEADLINE_PASSED'> {}

export type Bounded<T> = {
  /** The work's own end, or the deadline's error, whichever is first. */
  readonly result: Promise<T>;
  /** Resolves when the work itself has ended, however late. */
  readonly ended: Promise<void>;
};

/** Work that is told to stop at its deadline, and not waited for if it does not listen. */
export function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Bounded<T> {
  const { deadlineMs, signal } = options;
  const { promise, reject } = Promise.withResolvers<never>();
  const own = new AbortController();
  const stop = (error: unknown): void => {
    own.abort(error);
    reject(error);
  };
  const timer = setTimeout(() => {
    const sentence = `It did not end within ${formatDuration(deadlineMs)}.`;
    stop(new DeadlineError('DEADLINE_PASSED', sentence));
  }, deadlineMs);
  const onAbort = (): void => stop(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  const running = (async () => work(own.signal))();
  const close = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  };
  const ended = running.then(close, close);
  return { result: Promise.race([running, promise]), ended };
}
