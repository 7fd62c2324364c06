import { NO_RESOURCES, type Resources } from '../capacity/spec.ts';
import type { CONTRACT_STATES } from '../contract/receipt.ts';
import type { LIFE_STATES, VERSION_STATES } from '../sdk/api.ts';
import { SECOND_MS } from '../lib/units.ts';

/** How long a version may wait for its node's word before its room is given back. */
export const RESERVATION_MS = 60 * SECOND_MS;

export type LifeState = (typeof LIFE_STATES)[number];
type NodeWord = (typeof CONTRACT_STATES)[number];

/** What deciding needs of one version. */
export type LifeVersion = {
  readonly digest: string;
  readonly version: number;
  readonly resources: Resources;
  readonly notAfterMs: number;
  /** Of its envelope, as JSON. */
  readonly lengthBytes: number;
};

/**
 * Where a contract stands on the books. The node's word counts for what the node holds: a version
 * that it takes up late is booked again, because it runs there whatever the books say.
 */
export type Life = {
  readonly state: LifeState;
  /** The version that the node said it holds. */
  readonly held: LifeVersion | null;
  /** The version that waits for the node's word. */
  readonly pending: LifeVersion | null;
  readonly reservedUntilMs: number | null;
  readonly isCancelled: boolean;
};

const NOTHING_PENDING = { pending: null, reservedUntilMs: null } as const;

/** Whether nothing of it is left at its node, for all that is known. */
export function isOver({ state }: Life): boolean {
  return state === 'refused' || state === 'released' || state === 'ended' || state === 'expired';
}

/** Whether its node shall have it. */
export function isLive(life: Life): boolean {
  return !isOver(life) && !life.isCancelled;
}

/** What it keeps others from: of two versions on their way, the greater of each. */
export function bookedResources(life: Life): Resources {
  if (isOver(life)) return NO_RESOURCES;
  const a = life.held?.resources ?? NO_RESOURCES;
  const b = life.pending?.resources ?? NO_RESOURCES;
  return {
    cpuMillis: Math.max(a.cpuMillis, b.cpuMillis),
    memoryBytes: Math.max(a.memoryBytes, b.memoryBytes),
    ssdBytes: Math.max(a.ssdBytes, b.ssdBytes),
    hddBytes: Math.max(a.hddBytes, b.hddBytes),
  };
}

/** When the clock changes it next, or `null`. */
export function dueMs(life: Life): number | null {
  if (isOver(life)) return null;
  if (life.pending === null) return life.held?.notAfterMs ?? null;
  return Math.min(life.reservedUntilMs ?? Infinity, life.pending.notAfterMs);
}

/** With a version admitted that waits for its node's word from now on. */
export function afterAdmission(
  before: Life | undefined,
  version: LifeVersion,
  nowMs: number,
): Life {
  return {
    state: before?.held ? before.state : 'reserved',
    held: before?.held ?? null,
    pending: version,
    reservedUntilMs: nowMs + RESERVATION_MS,
    isCancelled: false,
  };
}

/** With whatever is due by now: a reservation that lapsed, an end that came. */
export function afterTime(before: Life, nowMs: number): Life {
  let life = before;
  if (isOver(life)) return life;
  const { pending, reservedUntilMs } = life;
  if (pending !== null && (nowMs >= (reservedUntilMs ?? 0) || nowMs >= pending.notAfterMs)) {
    life = { ...life, ...NOTHING_PENDING };
    if (life.held === null && !life.isCancelled) {
      return { ...life, state: nowMs >= pending.notAfterMs ? 'expired' : 'released' };
    }
  }
  const isPast = life.pending === null && life.held !== null && nowMs >= life.held.notAfterMs;
  return isPast ? { ...life, state: 'expired' } : life;
}

/** With the tenant's wish to end it; its room stays booked until the node says it ended. */
export function afterCancellation(before: Life, isUnheard = false): Life {
  // Its node never gets it, so nobody but the books can say that it ended.
  if (isUnheard) return { ...before, ...NOTHING_PENDING, isCancelled: true, state: 'ended' };
  const isSettled = isOver(before) && before.state !== 'released';
  return { ...before, isCancelled: true, state: isSettled ? before.state : 'cancelled' };
}

/** With the node's word about `said`, which is a version of this contract, old or new. */
export function afterReceipt(before: Life, state: NodeWord, said: LifeVersion): Life {
  // What ended has ended: its room may be another's by now, and no honest node holds it.
  if (before.state === 'ended') return before;
  switch (state) {
    case 'accepted':
    case 'running':
      return afterHolding(before, state, said);
    case 'refused':
      return afterRefusal(before, said);
    case 'ended':
      return { ...before, ...NOTHING_PENDING, held: null, state: 'ended' };
    default:
      return state satisfies never;
  }
}

function afterHolding(before: Life, state: 'accepted' | 'running', said: LifeVersion): Life {
  if (before.held !== null && said.version < before.held.version) return before;
  const isAnswered = before.pending !== null && before.pending.version <= said.version;
  return {
    ...before,
    ...(isAnswered ? NOTHING_PENDING : {}),
    held: said,
    state: before.isCancelled ? 'cancelled' : state,
  };
}

function afterRefusal(before: Life, said: LifeVersion): Life {
  if (before.pending?.digest === said.digest && before.held !== null) {
    return { ...before, ...NOTHING_PENDING };
  }
  const isOfNothingElse =
    (before.held ?? said).version === said.version &&
    (before.pending ?? said).version === said.version;
  if (!isOfNothingElse) return before;
  return { ...before, ...NOTHING_PENDING, held: null, state: 'refused' };
}

/** What became of one version. */
export function versionState(
  life: Life,
  { digest, version }: { readonly digest: string; readonly version: number },
): (typeof VERSION_STATES)[number] {
  if (digest === life.pending?.digest) return 'pending';
  if (digest === life.held?.digest) return 'held';
  return version < (life.held?.version ?? 0) ? 'superseded' : 'dropped';
}
