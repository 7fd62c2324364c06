import {
  onlineUntilMs,
  saidWindows,
  UPTIME_DAYS,
  windowAt,
  WINDOWS_PER_DAY,
} from '../../capacity/uptime.ts';
import type { Heartbeat } from '../../contract/receipt.ts';
import { one, run, type Work } from '../database/work.ts';
import { jsonIn, numberIn } from '../sql/rows.ts';

/** So many nodes of one process are remembered as counted in their window. */
const COUNTED_MAX = 1_000_000;

/** Which nodes were counted in their window already, so that the database is not asked again. */
export type Uptime = {
  readonly isCounted: (node: string, nowMs: number) => boolean;
  readonly setCounted: (node: string, nowMs: number) => void;
};

/**
 * Remembers what this process counted, and no more than that: a directory that starts anew, or
 * another beside it, counts no window twice.
 */
export function openUptime(): Uptime {
  const counted = new Map<string, number>();
  return {
    isCounted: (node, nowMs) => counted.get(node) === windowAt(nowMs),
    setCounted: (node, nowMs) => {
      counted.delete(node);
      counted.set(node, windowAt(nowMs));
      const [oldest] = counted.keys();
      if (counted.size > COUNTED_MAX && oldest !== undefined) counted.delete(oldest);
    },
  };
}

/** Whether a node's last word was that it goes to sleep. */
export function* isAsleep(node: string): Work<boolean> {
  const row = yield* one('SELECT payload FROM heartbeats WHERE node = :node', { node });
  return row !== undefined && (jsonIn(row, 'payload') as Heartbeat).isAsleep === true;
}

type Counting = {
  readonly nowMs: number;
  /** It slept since its last word: that time is neither for it nor against it. */
  readonly wasAsleep: boolean;
};

/** Counts the window of a node's sign of life once, and those before that it says it was up in. */
export function* countWindow(
  { node, uptimeMs }: Heartbeat,
  { nowMs, wasAsleep }: Counting,
): Work<void> {
  const window = windowAt(nowMs);
  const row = yield* one(
    `SELECT n.seq, (SELECT MAX(last_window) FROM uptime u WHERE u.seq = n.seq) AS before
     FROM nodes n WHERE n.id = :node`,
    { node },
  );
  if (row === undefined) return;
  const before = row['before'] === null ? undefined : numberIn(row, 'before');
  if (before !== undefined && before >= window) return;
  const seq = numberIn(row, 'seq');
  const day = dayOf(window);
  const said = saidWindows({ window, before, uptimeMs });
  // Windows before it first came, and those that it slept through, are not counted against it.
  const slept = wasAsleep && before !== undefined ? window - before - 1 : 0;
  const early = before === undefined ? yield* countedBefore(window) : slept;
  yield* run(
    `INSERT INTO uptime (seq, day, heard, said, early, last_window)
     VALUES (:seq, :day, 1, :said, :early, :window)
     ON CONFLICT (seq, day) DO UPDATE SET heard = uptime.heard + 1,
       said = uptime.said + excluded.said, early = uptime.early + excluded.early,
       last_window = excluded.last_window
     WHERE excluded.last_window > uptime.last_window`,
    { seq, day, said, window, early },
  );
  yield* run(
    `UPDATE capacity SET online_until_ms = :untilMs,
       since_day = CASE WHEN since_day IS NULL THEN :day ELSE since_day END WHERE seq = :seq`,
    { seq, day, untilMs: onlineUntilMs(window) },
  );
}

/** How many of a day's windows the directory had been there before this one. */
function* countedBefore(window: number): Work<number> {
  const row = yield* one('SELECT windows, last_window FROM directory_uptime WHERE day = :day', {
    day: dayOf(window),
  });
  if (row === undefined) return 0;
  return numberIn(row, 'windows') - (numberIn(row, 'last_window') === window ? 1 : 0);
}

/**
 * Counts the directory's own windows: a node is measured against these alone, so that a directory
 * that is away takes nothing from anybody's uptime. Forgets what is older than what is shown.
 */
export function* countOwnWindow(nowMs: number): Work<void> {
  const window = windowAt(nowMs);
  const day = dayOf(window);
  const isNew = yield* run(
    `INSERT INTO directory_uptime (day, windows, last_window) VALUES (:day, 1, :window)
     ON CONFLICT (day) DO UPDATE SET windows = directory_uptime.windows + 1,
       last_window = excluded.last_window
     WHERE excluded.last_window > directory_uptime.last_window`,
    { day, window },
  );
  if (isNew === 0) return;
  yield* run('DELETE FROM directory_uptime WHERE day <= :day', { day: day - UPTIME_DAYS });
  yield* run('DELETE FROM uptime WHERE day <= :day', { day: day - UPTIME_DAYS });
}

function dayOf(window: number): number {
  return Math.floor(window / WINDOWS_PER_DAY);
}
