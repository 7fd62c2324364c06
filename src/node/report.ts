import { heartbeatSchema, receiptSchema } from '../contract/receipt.ts';
import { type Envelope, type Signer, signEnvelope } from '../identity/envelope.ts';
import { SECOND_MS } from '../lib/units.ts';
import type { Life } from './health/life.ts';
import type { Statement } from './status.ts';

export const HEARTBEAT_MS = 30 * SECOND_MS;
/** Between two signs of life, whatever happens. */
const HURRY_MS = 3 * SECOND_MS;
const RETRY_MS = SECOND_MS;
const RETRY_MS_MAX = 30 * SECOND_MS;
/** Between two receipts that differ in words only: progress is told, not shouted. */
const QUIET_MS = SECOND_MS;

export type Sending = {
  /** Resolves when the directory has it; throws, with `isFinal` when trying again is no use. */
  readonly receipt: (envelope: Envelope) => Promise<void>;
  readonly heartbeat: (envelope: Envelope) => Promise<void>;
  readonly isFinal: (error: unknown) => boolean;
};

export type ReportParts = {
  readonly grid: string;
  readonly node: string;
  readonly signer: Signer;
  readonly sending: Sending;
  /** The next number: higher than every one before, also of earlier boots. */
  readonly nextSeq: (nowMs: number) => Promise<number>;
  readonly clock: () => number;
  readonly chance: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly life: () => Promise<Life>;
  /** Is given what to call when the next sign of life should not wait for its time. */
  readonly onUrgent: (hurry: () => void) => void;
  /** The directory has a receipt with this state. */
  readonly onTold: (statement: Statement) => Promise<void>;
  readonly onTrouble: (what: string, error: unknown) => void;
};

export type Reporter = {
  /** What there is to say now; only what differs from the last word is sent. */
  readonly say: (statements: readonly Statement[]) => void;
  /** Sends receipts and heartbeats until the signal fires. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/** Signs and numbers what the node says, and sends it until the directory has it. */
export function openReporter(parts: ReportParts): Reporter {
  const box = openOutbox(parts);
  return {
    say: box.say,
    run: async (signal) => {
      await Promise.all([box.run(signal), beat(parts, signal)]);
    },
  };
}

/** Receipts that wait to be sent, the latest of each contract. */
function openOutbox(parts: ReportParts): Reporter {
  const waiting = new Map<string, Statement>();
  const said = new Map<string, Said>();
  /** Ends the wait between two rounds; whatever is said meanwhile is looked at at once. */
  let rest = new AbortController();
  const sendOne = async (key: string, statement: Statement): Promise<void> => {
    const { grid, node, clock, sending } = parts;
    const atMs = clock();
    const seq = await parts.nextSeq(atMs);
    const receipt = receiptSchema.parse({ grid, node, seq, atMs, ...statement });
    try {
      await sending.receipt(signEnvelope('receipt', receipt, parts.signer));
    } catch (error) {
      if (!sending.isFinal(error)) throw error;
      parts.onTrouble('receipt', error);
    }
    said.set(key, { text: JSON.stringify(statement), states: statesOf(statement), atMs: clock() });
    if (waiting.get(key) === statement) waiting.delete(key);
    await parts.onTold(statement);
  };
  const sendDue = async (): Promise<void> => {
    const nowMs = parts.clock();
    const due = [...waiting].filter(([key, next]) => !isChatter(next, said.get(key), nowMs));
    for (const [key, statement] of due) await sendOne(key, statement);
  };
  return {
    say: (statements) => {
      for (const statement of statements) {
        const key = keyOf(statement);
        // The last word counts, even when what waits to be sent was another one before.
        if (said.get(key)?.text === JSON.stringify(statement)) waiting.delete(key);
        else waiting.set(key, statement);
      }
      if (waiting.size > 0) rest.abort();
    },
    run: async (signal) => {
      signal.addEventListener('abort', () => rest.abort(), { once: true });
      for (let failures = 0; !signal.aborted;) {
        rest = new AbortController();
        try {
          await sendDue();
          failures = 0;
        } catch (error) {
          failures += 1;
          parts.onTrouble('receipt', error);
        }
        if (signal.aborted) return;
        if (failures > 0) await parts.sleep(retryMs(failures, parts.chance()), signal);
        else await parts.sleep(waiting.size > 0 ? QUIET_MS : HEARTBEAT_MS, rest.signal);
      }
    },
  };
}

/** Heartbeats at once, and then again and again; sooner when something changed for the worse. */
async function beat(parts: ReportParts, signal: AbortSignal): Promise<void> {
  const { grid, node, clock, sending } = parts;
  let rest = new AbortController();
  parts.onUrgent(() => rest.abort());
  signal.addEventListener('abort', () => rest.abort(), { once: true });
  for (let failures = 0; !signal.aborted;) {
    rest = new AbortController();
    try {
      const atMs = clock();
      const seq = await parts.nextSeq(atMs);
      const life = await parts.life();
      const heartbeat = heartbeatSchema.parse({ grid, node, seq, atMs, ...life });
      await sending.heartbeat(signEnvelope('heartbeat', heartbeat, parts.signer));
      failures = 0;
    } catch (error) {
      failures += 1;
      parts.onTrouble('heartbeat', error);
    }
    if (signal.aborted) return;
    if (failures > 0) await parts.sleep(retryMs(failures, parts.chance()), signal);
    else await restUntilDue(parts, rest.signal, signal);
  }
}

/** However much goes wrong at once, there is some time between two signs of life. */
async function restUntilDue(
  { sleep, clock }: ReportParts,
  hurry: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  const sentMs = clock();
  await sleep(HEARTBEAT_MS, hurry);
  const leftMs = HURRY_MS - (clock() - sentMs);
  if (hurry.aborted && !signal.aborted && leftMs > 0)
    await sleep(Math.min(leftMs, HURRY_MS), signal);
}

/** A refusal is told beside what is held of the same contract, not instead of it. */
function keyOf({ contract, version, state }: Statement): string {
  return state === 'refused' ? `${contract} ${version} refused` : contract;
}

type Said = { readonly text: string; readonly states: string; readonly atMs: number };

/** Other words for the same states, hard upon the last ones; a new state never waits. */
function isChatter(next: Statement, before: Said | undefined, nowMs: number): boolean {
  if (before === undefined || before.states !== statesOf(next)) return false;
  return Math.abs(nowMs - before.atMs) < QUIET_MS;
}

function statesOf({ version, state, workloads, znetEnds }: Statement): string {
  return JSON.stringify([version, state, workloads.map((workload) => workload.state), znetEnds]);
}

function retryMs(failures: number, jitter: number): number {
  const delayMs = Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX);
  return delayMs * (0.5 + jitter / 2);
}
