import { formatDuration, SECOND_MS } from '../../lib/units.ts';

/** A busy machine is late with its timers. */
const GRACE_MS = 10 * SECOND_MS;

/** Whether the agent's loop gets on, by its own announcements. */
export type Progress = {
  /** The loop moved, and is now at `what`, until then at the latest. */
  readonly move: (what: string, latestMs: number) => void;
  /** How often it moved. */
  readonly count: () => number;
  /** Where it stands still, in words; nothing while it is within the time that it gave itself. */
  readonly stuckAt: () => string | undefined;
};

/** Opens it before the loop runs: what brings the machine up has its own deadlines. */
export function openProgress(steady: () => number): Progress {
  let moves = 0;
  let at = 'nothing yet';
  let since = steady();
  let latest = Infinity;
  return {
    move: (what, latestMs) => {
      moves += 1;
      at = what;
      since = steady();
      latest = latestMs;
    },
    count: () => moves,
    stuckAt: () => {
      const now = steady();
      if (now <= latest + GRACE_MS) return undefined;
      return `its loop stood still for ${formatDuration(now - since)} at ${at}`;
    },
  };
}
