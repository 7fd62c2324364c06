import { type Judged, judgeBoot, leaseSchema } from '../../contract/health/lease.ts';
import type { Heartbeat } from '../../contract/receipt.ts';
import { MINUTE_MS } from '../../lib/units.ts';
import { one, run, type Work } from '../database/work.ts';
import { jsonIn } from '../sql/rows.ts';

/** That a start lasts is written down this often: a sign of life is cheap. */
const FRESH_MS = MINUTE_MS;
/** For so long a node is told that a copy of its disk is about. */
const RIVAL_MS = 10 * MINUTE_MS;

/** What the directory says to a start of a machine about whether it is the node. */
export type Standing = {
  readonly fencedBecause: string | null;
  /** To the one that is the node: that another one tries to be. */
  readonly hasRival: boolean;
};

/** Judges by a heartbeat which machine is the node; older nodes do not count their starts. */
export function* judgeHeartbeat(heartbeat: Heartbeat, nowMs: number): Work<Standing> {
  const { node, bootId, boots } = heartbeat;
  if (boots === undefined) return { fencedBecause: null, hasRival: false };
  const row = yield* one('SELECT lease FROM leases WHERE node = :node', { node });
  const before = row === undefined ? undefined : leaseSchema.parse(jsonIn(row, 'lease'));
  const judged = judgeBoot(before, { bootId, boots }, nowMs);
  if (isNews(before, judged)) {
    yield* run(
      `INSERT INTO leases (node, lease) SELECT :node, :lease FROM nodes WHERE id = :node
       ON CONFLICT (node) DO UPDATE SET lease = excluded.lease`,
      { node, lease: JSON.stringify(judged.lease) },
    );
  }
  const { rivalMs } = judged.lease;
  const hasRival = rivalMs !== null && nowMs - rivalMs < RIVAL_MS;
  return { fencedBecause: judged.fencedBecause, hasRival };
}

function isNews(before: Judged['lease'] | undefined, { lease }: Judged): boolean {
  if (before === undefined || before.holder.bootId !== lease.holder.bootId) return true;
  if (lease.holder.seenMs - before.holder.seenMs >= FRESH_MS) return true;
  return lease.rivalMs !== before.rivalMs || lease.fenced.length !== before.fenced.length;
}
