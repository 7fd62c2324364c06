import { z } from 'zod';
import { KiB, SECOND_MS } from '../../lib/units.ts';

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** What a contract used since it began on its node: every number only grows. */
export const meterSchema = z.strictObject({
  /** When this count began; a node that lost its count begins another, after the end of this. */
  sinceMs: z.int().positive(),
  untilMs: z.int().positive(),
  /** Processor time, of all processors together. */
  cpuMs: count,
  /** Memory as its kernel counts it, one MiB for a second. */
  memoryMibSeconds: count,
  /** Images and volumes on solid-state storage, one MiB for a second; of rotating a sixth. */
  storageMibSeconds: count,
  receivedBytes: count,
  sentBytes: count,
});
export type Meter = z.infer<typeof meterSchema>;

/** What the kernel has counted for one run of a container, and what it holds now. */
export type Use = {
  /** Tells this run from those before and after. */
  readonly run: string;
  readonly cpuMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly memoryBytes: number;
  /** On solid-state storage; what rotates counts a sixth, as it does in a storage unit. */
  readonly storageBytes: number;
};

const lastSchema = z.strictObject({
  run: z.string().max(100),
  cpuMs: count,
  receivedBytes: count,
  sentBytes: count,
});

/** A meter and what it goes on from: so it is kept on the disk. */
export const tallySchema = z.strictObject({
  meter: meterSchema,
  /** What is not a whole MiB-second yet, in KiB-milliseconds. */
  memoryRest: count,
  storageRest: count,
  /** What was counted last, by container. */
  last: z.record(z.string().max(100), lastSchema),
});
export type Tally = z.infer<typeof tallySchema>;

/** Over a longer gap between two looks nothing is known of memory, so none is counted. */
const GAP_MS_MAX = 60 * SECOND_MS;
const KIB_MS_PER_MIB_SECOND = KiB * SECOND_MS;

/** A count that begins now. */
export function newTally(nowMs: number): Tally {
  const meter = {
    sinceMs: nowMs,
    untilMs: nowMs,
    cpuMs: 0,
    memoryMibSeconds: 0,
    storageMibSeconds: 0,
    receivedBytes: 0,
    sentBytes: 0,
  };
  return { meter, memoryRest: 0, storageRest: 0, last: {} };
}

/**
 * Adds what the containers of a contract show now, `elapsedMs` after the look before. What a run
 * did after its last look is lost, and never guessed: a meter is never too high.
 */
export function addUses(
  tally: Tally,
  uses: ReadonlyMap<string, Use>,
  { nowMs, elapsedMs }: { readonly nowMs: number; readonly elapsedMs: number },
): Tally {
  const { meter } = tally;
  const last: Tally['last'] = {};
  let { cpuMs, receivedBytes, sentBytes } = meter;
  let [memoryRest, storageRest] = [tally.memoryRest, tally.storageRest];
  const lookedMs = elapsedMs > GAP_MS_MAX ? 0 : elapsedMs;
  for (const [container, use] of uses) {
    const before = tally.last[container];
    // Of a run that was not seen before, all that the kernel counted is new.
    const from = before?.run === use.run ? before : NOTHING;
    cpuMs += Math.max(0, use.cpuMs - from.cpuMs);
    receivedBytes += Math.max(0, use.receivedBytes - from.receivedBytes);
    sentBytes += Math.max(0, use.sentBytes - from.sentBytes);
    if (from !== NOTHING) {
      memoryRest += Math.floor(use.memoryBytes / KiB) * lookedMs;
      storageRest += Math.floor(use.storageBytes / KiB) * lookedMs;
    }
    const { run, cpuMs: cpu, receivedBytes: received, sentBytes: sent } = use;
    last[container] = { run, cpuMs: cpu, receivedBytes: received, sentBytes: sent };
  }
  const whole = (rest: number): number => Math.floor(rest / KIB_MS_PER_MIB_SECOND);
  return {
    meter: {
      sinceMs: meter.sinceMs,
      untilMs: Math.max(meter.untilMs, nowMs),
      cpuMs,
      memoryMibSeconds: meter.memoryMibSeconds + whole(memoryRest),
      storageMibSeconds: meter.storageMibSeconds + whole(storageRest),
      receivedBytes,
      sentBytes,
    },
    memoryRest: memoryRest % KIB_MS_PER_MIB_SECOND,
    storageRest: storageRest % KIB_MS_PER_MIB_SECOND,
    last,
  };
}

const NOTHING = { run: '', cpuMs: 0, receivedBytes: 0, sentBytes: 0 };

/** Whether a meter can follow on another: it grew, or it is a new count after that one's end. */
export function isLaterMeter(before: Meter, after: Meter): boolean {
  if (after.untilMs < after.sinceMs) return false;
  if (after.sinceMs !== before.sinceMs) return after.sinceMs >= before.untilMs;
  return (
    after.untilMs >= before.untilMs &&
    after.cpuMs >= before.cpuMs &&
    after.memoryMibSeconds >= before.memoryMibSeconds &&
    after.storageMibSeconds >= before.storageMibSeconds &&
    after.receivedBytes >= before.receivedBytes &&
    after.sentBytes >= before.sentBytes
  );
}
