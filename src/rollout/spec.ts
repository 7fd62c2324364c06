import { z } from 'zod';
import { idSchema } from '../identity/document.ts';
import { gridSchema } from '../identity/farm.ts';
import { ZosError } from '../lib/errors.ts';
import { windowSchema } from './window.ts';

export class RolloutError extends ZosError<
  'POLICY_FOREIGN' | 'POLICY_OLD' | 'TURN_FOREIGN' | 'TURN_STALE' | 'TURN_OLD'
> {}

/**
 * A release is named by one SHA-256: of `system.erofs` where the agent changes in place, and of
 * kernel and first stage where the machine starts anew.
 */
export const RELEASE_KINDS = ['system', 'kernel'] as const;
export type ReleaseKind = (typeof RELEASE_KINDS)[number];

/** The most releases that a policy names as stopped, and as forgiven. */
export const RELEASES_MAX = 64;

export const updatePolicySchema = z.strictObject({
  grid: gridSchema,
  farm: idSchema,
  farmer: idSchema,
  /** Grows with every change: an older policy never replaces a newer one. */
  version: z.int().min(1),
  /** `null` as with no policy: in place at any time, and no restart. */
  window: windowSchema.nullable(),
  /** So many of a hundred nodes may be at it at a time; always at least one node. */
  sharePercent: z.int().min(1).max(100),
  /** Releases that no node of the farm takes up any more. */
  stopped: z.array(idSchema).max(RELEASES_MAX),
  /** Releases that may be tried again by whoever found them bad under an older policy. */
  forgiven: z
    .array(z.strictObject({ release: idSchema, version: z.int().min(1) }))
    .max(RELEASES_MAX),
});
/** How a farmer wants the farm's nodes updated, signed by the farmer. */
export type UpdatePolicy = z.infer<typeof updatePolicySchema>;

export const badMarkSchema = z.strictObject({
  what: z.enum(RELEASE_KINDS),
  sha256: idSchema,
  /** What went wrong, for people. */
  reason: z.string().max(300),
  atMs: z.int().min(0),
  /** Of the policy that the node held then, 0 for none: only a later one can forgive. */
  policyVersion: z.int().min(0),
});
/** A release that a node tried and left again. */
export type BadMark = z.infer<typeof badMarkSchema>;

/** What a node has to say before it may change to another release. */
export const turnWishSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  /** Grows with every word of this node: a turn that was asked for before is not asked again. */
  seq: z.int().positive(),
  atMs: z.int().positive(),
  what: z.enum(RELEASE_KINDS),
  /** The release that runs; `null` when the node can't name it. */
  from: idSchema.nullable(),
  to: idSchema,
});
export type TurnWish = z.infer<typeof turnWishSchema>;

export const WAIT_CODES = [
  'BAD_HERE',
  'STOPPED_BY_FARMER',
  'STOPPED',
  'NO_WINDOW',
  'CLOCK_UNSYNCED',
  'WINDOW_CLOSED',
  'SHARE_TAKEN',
  'NOT_JOINED',
  'DIRECTORY_SILENT',
] as const;

const waitSchema = z.strictObject({
  may: z.literal(false),
  code: z.enum(WAIT_CODES),
  /** For people: what it waits for, with numbers. */
  because: z.string().max(500),
  retryMs: z.int().positive(),
});
/** Not now, why, and when to ask again. */
export type Wait = z.infer<typeof waitSchema>;

export const judgementSchema = z.union([
  z.strictObject({
    may: z.literal(true),
    /** By then the directory has to have heard the release's name in a heartbeat. */
    untilMs: z.int().positive(),
  }),
  waitSchema,
]);
/** Whether a node may change to another release now. */
export type Judgement = z.infer<typeof judgementSchema>;

export const turnAnswerSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  /** SHA-256 of the payload of what was asked, so that an old answer is worth nothing. */
  wish: idSchema,
  judgement: judgementSchema,
});
