import type { Heartbeat } from '../../contract/receipt.ts';
import { SECOND_MS } from '../../lib/units.ts';
import {
  decideTurn,
  isForgiven,
  type OpenTurn,
  type Outcome,
  outcomeOf,
  overdueOutcome,
  type Stop,
} from '../../rollout/plan.ts';
import {
  type Judgement,
  type ReleaseKind,
  RolloutError,
  type UpdatePolicy,
} from '../../rollout/spec.ts';
import type { TURN_STATES } from '../../sdk/api.ts';
import type { SignedTurnWish } from '../../rollout/verify.ts';
import { all, one, run, type Row, type Work } from '../database/work.ts';
import { numberIn, textIn, textOrNullIn } from '../sql/rows.ts';
import { policyOf } from './policies.ts';

/** The most releases that are remembered of one node. */
const NODE_TURNS_MAX = 32;
/** So long nodes have to be heard again after the directory itself was away. */
const GRACE_MS = 120 * SECOND_MS;

/**
 * Judges a wish and books it, in the one transaction that this is called in. A node that asks is
 * not at it: when it has to wait, a turn of before is given back.
 */
export function* takeTurn(wish: SignedTurnWish, nowMs: number): Work<Judgement> {
  yield* claimSeq(wish);
  const { node, what, to: release } = wish;
  const row = yield* one('SELECT farm FROM nodes WHERE id = :node', { node });
  const farm = row === undefined ? null : textOrNullIn(row, 'farm');
  if (farm === null) {
    const because = 'this node has not joined a farm';
    return { may: false, code: 'NOT_JOINED', because, retryMs: 30 * SECOND_MS };
  }
  const policy = yield* policyOf(farm);
  const judgement = decideTurn({
    node,
    what,
    release,
    policy,
    nowMs,
    nodeCount: yield* countNodes(farm),
    open: yield* openTurns(farm),
    stop: yield* stopOf({ farm, release, policy }),
  });
  const entry = { node, release, farm, what, atMs: nowMs };
  if (judgement.may) {
    yield* leaveOthers(node, release);
    yield* putTurn({ ...entry, state: 'open', because: '', untilMs: judgement.untilMs });
  } else if (!(yield* isBad({ node, release, policy }))) {
    const { because } = judgement;
    yield* putTurn({ ...entry, state: 'waiting', because, untilMs: null });
  }
  return judgement;
}

/** How many nodes have joined a farm. */
export function* countNodes(farm: string): Work<number> {
  const row = yield* one('SELECT COUNT(*) AS count FROM nodes WHERE farm = :farm', { farm });
  return numberIn(row ?? {}, 'count');
}

/** A wish is judged once: an older one that comes again changes nothing. */
function* claimSeq({ node, seq }: SignedTurnWish): Work<void> {
  const changed = yield* run(
    `INSERT INTO turn_seqs (node, seq) VALUES (:node, :seq)
     ON CONFLICT (node) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > turn_seqs.seq`,
    { node, seq },
  );
  if (changed > 0) return;
  throw new RolloutError('TURN_OLD', 'A later wish of this node is here already; number it anew.');
}

function* openTurns(farm: string): Work<OpenTurn[]> {
  const rows = yield* all(`SELECT * FROM turns WHERE farm = :farm AND state = 'open'`, { farm });
  return rows.map(openTurnIn);
}

function openTurnIn(row: Row): OpenTurn {
  return {
    node: textIn(row, 'node'),
    what: textIn(row, 'what') as ReleaseKind,
    release: textIn(row, 'release'),
    untilMs: numberIn(row, 'until_ms'),
  };
}

type Asked = {
  readonly farm: string;
  readonly release: string;
  readonly policy: UpdatePolicy | null;
};

/** The first bad word about a release in a farm that the farmer has not forgiven. */
export function* stopOf({ farm, release, policy }: Asked): Work<Stop | null> {
  const rows = yield* all(
    `SELECT * FROM turns WHERE farm = :farm AND release = :release AND state = 'bad'
     ORDER BY at_ms`,
    { farm, release },
  );
  for (const row of rows) {
    const policyVersion = numberIn(row, 'policy_version');
    if (isForgiven({ sha256: release, policyVersion }, policy)) continue;
    const because = `node ${textIn(row, 'node').slice(0, 10)}: ${textIn(row, 'because')}`;
    return { because, policyVersion };
  }
  return null;
}

type Known = {
  readonly node: string;
  readonly release: string;
  readonly policy: UpdatePolicy | null;
};

function* isBad({ node, release, policy }: Known): Work<boolean> {
  const row = yield* one('SELECT * FROM turns WHERE node = :node AND release = :release', {
    node,
    release,
  });
  if (row?.['state'] !== 'bad') return false;
  return !isForgiven({ sha256: release, policyVersion: numberIn(row, 'policy_version') }, policy);
}

/** A node is at one release at a time: what it was at before, it has left. */
function* leaveOthers(node: string, release: string): Work<void> {
  yield* run(
    `UPDATE turns SET state = 'left', until_ms = NULL
     WHERE node = :node AND release <> :release AND state = 'open'`,
    { node, release },
  );
}

type Entry = {
  readonly node: string;
  readonly release: string;
  readonly farm: string;
  readonly what: ReleaseKind;
  readonly state: (typeof TURN_STATES)[number];
  readonly because: string;
  readonly untilMs: number | null;
  readonly atMs: number;
  /** Of the policy under which it was found bad. */
  readonly policyVersion?: number;
};

function* putTurn({ policyVersion = 0, ...entry }: Entry): Work<void> {
  yield* run(
    `INSERT INTO turns
       (node, release, farm, what, state, because, policy_version, until_ms, at_ms)
     VALUES (:node, :release, :farm, :what, :state, :because, :policyVersion, :untilMs, :atMs)
     ON CONFLICT (node, release) DO UPDATE SET farm = excluded.farm, what = excluded.what,
       because = excluded.because, policy_version = excluded.policy_version,
       until_ms = excluded.until_ms,
       at_ms = CASE WHEN turns.state = excluded.state THEN turns.at_ms ELSE excluded.at_ms END,
       state = excluded.state`,
    { ...entry, policyVersion },
  );
  yield* run(
    `DELETE FROM turns WHERE node = :node AND release IN (
       SELECT release FROM turns WHERE node = :node
       ORDER BY at_ms DESC, release LIMIT 1000 OFFSET :kept
     )`,
    { node: entry.node, kept: NODE_TURNS_MAX },
  );
}

/** What a node's sign of life says of its turns, and of releases that it found bad. */
export function* followTurns(heartbeat: Heartbeat, nowMs: number): Work<void> {
  const { node, system, kernel, systemBad: bad = [], isOnTrial = false } = heartbeat;
  const known = yield* one(
    `SELECT farm, (SELECT COUNT(*) FROM turns WHERE node = :node AND state = 'open') AS turns
     FROM nodes WHERE id = :node`,
    { node },
  );
  const farm = known === undefined ? null : textOrNullIn(known, 'farm');
  if (farm === null || (bad.length === 0 && known?.['turns'] === 0)) return;
  const word = { runs: { system, kernel: kernel ?? null }, bad, isOnTrial };
  const policy = yield* policyOf(farm);
  for (const { sha256: release, what, reason: because, policyVersion } of bad) {
    if (yield* isBad({ node, release, policy })) continue;
    const mark = { sha256: release, policyVersion };
    if (isForgiven(mark, policy)) continue;
    // No node can say that it judged by a policy that there is not yet: it could not be forgiven.
    const version = Math.min(policyVersion, policy?.version ?? 0);
    const entry = { node, release, farm, what, because, atMs: nowMs };
    yield* putTurn({ ...entry, state: 'bad', untilMs: null, policyVersion: version });
  }
  const rows = yield* all(`SELECT * FROM turns WHERE node = :node AND state = 'open'`, {
    node,
  });
  for (const row of rows) {
    const turn = openTurnIn(row);
    const outcome = outcomeOf(turn, word, policy);
    if (outcome !== undefined) yield* endTurn({ turn, farm, outcome, policy, nowMs });
  }
}

/** Ends turns whose time is over: who did not come back in time has found the release bad. */
export function* sweepTurns(nowMs: number): Work<void> {
  const rows = yield* all(
    `SELECT t.*, h.last_seen_ms FROM turns t LEFT JOIN heartbeats h ON h.node = t.node
     WHERE t.state = 'open' AND t.until_ms <= :nowMs`,
    { nowMs },
  );
  for (const row of rows) {
    const farm = textIn(row, 'farm');
    const seen = row['last_seen_ms'];
    const outcome = overdueOutcome(typeof seen === 'number' ? seen : null, nowMs);
    const turn = openTurnIn(row);
    yield* endTurn({ turn, farm, outcome, policy: yield* policyOf(farm), nowMs });
  }
}

/** Nobody could speak while the directory was away: what was open then gets time to do so. */
export function* lengthenTurns(nowMs: number): Work<void> {
  yield* run(`UPDATE turns SET until_ms = :untilMs WHERE state = 'open' AND until_ms < :untilMs`, {
    untilMs: nowMs + GRACE_MS,
  });
}

type End = {
  readonly turn: OpenTurn;
  readonly farm: string;
  readonly outcome: Outcome;
  readonly policy: UpdatePolicy | null;
  readonly nowMs: number;
};

function* endTurn({ turn, farm, outcome, policy, nowMs }: End): Work<void> {
  const { node, release, what } = turn;
  const because = outcome.end === 'bad' ? outcome.because : '';
  yield* putTurn({
    node,
    release,
    farm,
    what,
    because,
    state: outcome.end,
    untilMs: null,
    atMs: nowMs,
    policyVersion: policy?.version ?? 0,
  });
}
