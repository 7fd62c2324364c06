import { z } from 'zod';
import { idSchema, type Identity } from '../../identity/document.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
} from '../../identity/envelope.ts';
import { gridSchema } from '../../identity/farm.ts';
import { ZosError } from '../../lib/errors.ts';
import { MINUTE_MS } from '../../lib/units.ts';

export class FenceError extends ZosError<'FENCE_FOREIGN'> {}

/** A machine that was silent for so long may have gone down without a word. */
export const LEASE_MS = 3 * MINUTE_MS;
const FENCED_MAX = 16;
const bootIdSchema = z.string().max(64);

const bootSchema = z.strictObject({
  bootId: bootIdSchema,
  /** Starts of the machine as this node, this one included. */
  boots: z.int().min(1),
});
/** One start of a machine: no other ever has its id. */
export type Boot = z.infer<typeof bootSchema>;

export const leaseSchema = z.strictObject({
  holder: bootSchema.extend({ seenMs: z.int() }),
  /** The start that the holder followed. */
  before: bootSchema.nullable(),
  /** Starts that turned out to be of another machine. */
  fenced: z.array(bootIdSchema).max(FENCED_MAX),
  /** When a second machine last spoke as this node; `null` while none did. */
  rivalMs: z.int().nullable(),
});
/** Which start of which machine is a node, as its directory saw it. */
export type Lease = z.infer<typeof leaseSchema>;

export type Judged = {
  readonly lease: Lease;
  /** Why this start may not be the node; `null` for the one that is. */
  readonly fencedBecause: string | null;
};

/**
 * Whether a start is the node, or a copy of its disk in a second machine; pure. A start has a
 * higher count than every one before it: one that counts no higher came from an older copy. And a
 * machine that started anew never speaks as it did before: if the start of before speaks again, the
 * one that followed it was another machine, and the one that held the node all along goes on.
 */
export function judgeBoot(lease: Lease | undefined, boot: Boot, nowMs: number): Judged {
  const holder = { ...boot, seenMs: nowMs };
  if (lease === undefined) {
    return held({ holder, before: null, fenced: [], rivalMs: null });
  }
  if (boot.bootId === lease.holder.bootId) return held({ ...lease, holder });
  if (lease.fenced.includes(boot.bootId)) {
    const because = 'the machine that it was copied from is still running as it';
    return { lease: { ...lease, rivalMs: nowMs }, fencedBecause: because };
  }
  if (boot.bootId === lease.before?.bootId) {
    const fenced = [...lease.fenced, lease.holder.bootId].slice(-FENCED_MAX);
    return held({ holder, before: null, fenced, rivalMs: nowMs });
  }
  const isSilent = nowMs - lease.holder.seenMs > LEASE_MS;
  // Where the count could not be written, as on a disk that is read-only, it stays the same.
  const isNext = boot.boots > lease.holder.boots || (boot.boots === lease.holder.boots && isSilent);
  if (!isNext) {
    const because =
      `its disk is an older copy: it counts ${boot.boots} starts, ` +
      `and the node that runs counts ${lease.holder.boots}`;
    return { lease: { ...lease, rivalMs: nowMs }, fencedBecause: because };
  }
  const { bootId, boots } = lease.holder;
  return held({ ...lease, holder, before: { bootId, boots } });
}

function held(lease: Lease): Judged {
  return { lease, fencedBecause: null };
}

const fenceSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  bootId: bootIdSchema,
  because: z.string().max(300),
});
/** The directory's word that a start of a machine is not the node that it says it is. */
export type Fence = z.infer<typeof fenceSchema>;

/** Signs a fence with the directory's keys: nobody on the way can stop a node with one. */
export function signFence(fence: Fence, signer: Signer): Envelope {
  return signEnvelope('fence', fenceSchema.parse(fence), signer);
}

/** Throws `FenceError`, `EnvelopeError` or `JsonError`. */
export function verifyFence(
  envelope: Envelope,
  directory: Identity,
  expected: Pick<Fence, 'grid' | 'node' | 'bootId'>,
): Fence {
  const fence = parsePayload(openEnvelope(envelope, 'fence', directory.keys), fenceSchema);
  const isOurs =
    fence.grid === expected.grid &&
    fence.node === expected.node &&
    fence.bootId === expected.bootId;
  if (isOurs) return fence;
  throw new FenceError('FENCE_FOREIGN', 'This fence is for another start of a machine than this.');
}
