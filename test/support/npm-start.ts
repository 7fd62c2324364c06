import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** `npm start` as somebody runs it, in a session of its own. */
export type Start = AsyncDisposable & {
  readonly child: ChildProcess;
  /** The session, by the id of its first process. */
  readonly session: number;
  /** Everything it printed so far. */
  readonly printed: () => string;
  /** Waits for a text among it; throws with all of it when the program ends before. */
  readonly waitFor: (text: string) => Promise<void>;
  readonly ended: Promise<number | null>;
};

/** Runs `npm start` with these arguments in the repository. */
export function npmStart(root: string, args: readonly string[] = []): Start {
  const child = spawn('npm', ['start', '--', ...args], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const waitFor = async (text: string): Promise<void> => {
    let isEnded = false;
    void ended.then(() => (isEnded = true));
    while (!printed.includes(text)) {
      if (isEnded) throw new Error(`npm start ended without “${text}”:\n${printed}`);
      await Promise.race([once(child.stdout, 'data'), ended]);
    }
  };
  return {
    child,
    session: child.pid ?? 0,
    printed: () => printed,
    waitFor,
    ended,
    [Symbol.asyncDispose]: async () => {
      interrupt(child);
      await ended;
    },
  };
}

/** What Ctrl-C does: every process of the terminal's foreground gets the signal. */
export function interrupt({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGINT');
  } catch {
    // All of them have ended.
  }
}
