import { formatDuration, HOUR_MS, MINUTE_MS, SECOND_MS } from '../lib/units.ts';
import type { BadMark, Judgement, ReleaseKind, UpdatePolicy, Wait } from './spec.ts';
import { formatWindow, type Window, windowAt } from './window.ts';

/** How long a node has until the directory has to have heard of it from its new release. */
export const TURN_MS = {
  system: 5 * MINUTE_MS,
  kernel: 30 * MINUTE_MS,
} as const satisfies Record<ReleaseKind, number>;

/** Nobody begins so shortly before the window closes. */
const MARGIN_MS = MINUTE_MS;
/** A window that opens in days may be changed by the farmer before. */
const RETRY_MS_MAX = HOUR_MS;
const RETRY_MS = 30 * SECOND_MS;

/** What a farmer gets who signed no policy: one node at a time, and no restart at all. */
export const DEFAULT_SHARE_PERCENT = 1;

type Wish = {
  readonly what: ReleaseKind;
  readonly release: string;
  readonly policy: UpdatePolicy | null;
  readonly nowMs: number;
};

/** Whether a policy of a later version than the mark's lets the release be tried again. */
export function isForgiven(
  mark: { readonly sha256: string; readonly policyVersion: number },
  policy: UpdatePolicy | null,
): boolean {
  return (policy?.forgiven ?? []).some(
    ({ release, version }) => release === mark.sha256 && version > mark.policyVersion,
  );
}

/**
 * What a node decides by itself before it asks anybody: whatever the directory says, no release is
 * taken up that this node found bad, that its farmer stopped, or outside of its farmer's window.
 */
export function mayUpdate(
  wish: Wish & { readonly bad: readonly BadMark[]; readonly isClockSynced: boolean },
): Wait | undefined {
  const { release, policy } = wish;
  const mark = wish.bad.find((each) => each.sha256 === release && !isForgiven(each, policy));
  if (mark !== undefined) {
    return wait('BAD_HERE', `this node found ${shortOf(release)} bad: ${mark.reason}`);
  }
  if (!wish.isClockSynced) return wait('CLOCK_UNSYNCED', 'waiting for the right time');
  return mayFarmUpdate(wish);
}

/** The farmer's part of it, which the directory judges as well. */
export function mayFarmUpdate({ what, release, policy, nowMs }: Wish): Wait | undefined {
  if (policy?.stopped.includes(release) === true) {
    return wait('STOPPED_BY_FARMER', `the farmer stopped ${shortOf(release)}`);
  }
  const window = policy?.window ?? null;
  if (window === null) {
    if (what === 'system') return undefined;
    return wait('NO_WINDOW', 'a restart stops containers: it waits for the farmer to sign when');
  }
  const state = windowAt(window, nowMs);
  if (state.isOpen && (state.closesAtMs === null || state.closesAtMs - nowMs >= MARGIN_MS)) {
    return undefined;
  }
  const opensAtMs = state.isOpen ? opensNext(window, state.closesAtMs ?? nowMs) : state.opensAtMs;
  const inMs = opensAtMs - nowMs;
  const named = `${formatWindow(window)} UTC`;
  const because = `outside of the window ${named}, opens in ${formatDuration(inMs)}`;
  return wait('WINDOW_CLOSED', because, Math.min(RETRY_MS_MAX, Math.max(SECOND_MS, inMs)));
}

function opensNext(window: Window, closesAtMs: number): number {
  const after = windowAt(window, closesAtMs);
  return after.isOpen ? closesAtMs : after.opensAtMs;
}

/** A turn that was given and whose end is not known yet. */
export type OpenTurn = {
  readonly node: string;
  readonly what: ReleaseKind;
  readonly release: string;
  readonly untilMs: number;
};

/** Why a release rolls on no further in a farm; the version of the policy in force then. */
export type Stop = { readonly because: string; readonly policyVersion: number };

/** Everything on the directory's books that decides about a turn, read in one transaction. */
export type TurnBooks = Wish & {
  readonly node: string;
  readonly nodeCount: number;
  /** Of the whole farm. */
  readonly open: readonly OpenTurn[];
  readonly stop: Stop | null;
};

/** How many nodes of a farm may be at it at a time. */
export function turnsAtOnce(policy: UpdatePolicy | null, nodeCount: number): number {
  const percent = policy?.sharePercent ?? DEFAULT_SHARE_PERCENT;
  return Math.max(1, Math.floor((nodeCount * percent) / 100));
}

/** Whether a node gets its turn. */
export function decideTurn(books: TurnBooks): Judgement {
  const { node, what, release, policy, nowMs, stop } = books;
  if (stop !== null && !isForgiven({ sha256: release, ...stop }, policy)) {
    return wait('STOPPED', `${shortOf(release)} is stopped: ${stop.because}`);
  }
  const closed = mayFarmUpdate(books);
  if (closed !== undefined) return closed;
  // Its answer may have been lost: it is given again, and no later than before.
  const own = books.open.find((turn) => turn.node === node && turn.release === release);
  if (own !== undefined) return { may: true, untilMs: own.untilMs };
  const others = books.open.filter((turn) => turn.node !== node);
  const atOnce = turnsAtOnce(policy, books.nodeCount);
  if (others.length >= atOnce) {
    return wait('SHARE_TAKEN', `${others.length} of ${atOnce} at a time are at it`);
  }
  return { may: true, untilMs: nowMs + TURN_MS[what] };
}

/** What a node said of itself since it got its turn. */
export type NodeWord = {
  /** By kind, the release that runs. */
  readonly runs: Readonly<Record<ReleaseKind, string | null>>;
  readonly bad: readonly BadMark[];
  /** Whether it may still go back by itself. */
  readonly isOnTrial: boolean;
};

export type Outcome = { readonly end: 'good' } | { readonly end: 'bad'; readonly because: string };

/** How a turn ended by the node's own signed word, or `undefined` while it did not. */
export function outcomeOf(
  turn: OpenTurn,
  word: NodeWord,
  policy: UpdatePolicy | null,
): Outcome | undefined {
  const mark = word.bad.find((each) => each.sha256 === turn.release && !isForgiven(each, policy));
  if (mark !== undefined) return { end: 'bad', because: mark.reason };
  const isThere = word.runs[turn.what] === turn.release && !word.isOnTrial;
  return isThere ? { end: 'good' } : undefined;
}

/** How a turn ended that is past its time, of a node that was heard of then, or never. */
export function overdueOutcome(lastSeenMs: number | null, nowMs: number): Outcome {
  const isSilent = lastSeenMs === null || nowMs - lastSeenMs > SILENT_MS;
  const because = isSilent
    ? 'it did not come back'
    : 'it still ran the release before when its time was over';
  return { end: 'bad', because };
}

/** Three heartbeats missed. */
const SILENT_MS = 90 * SECOND_MS;

function wait(code: Wait['code'], because: string, retryMs = RETRY_MS): Wait {
  return { may: false, code, because, retryMs: Math.ceil(retryMs) };
}

function shortOf(release: string): string {
  return release.slice(0, 10);
}
