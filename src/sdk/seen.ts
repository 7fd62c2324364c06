import { z } from 'zod';
import { envelopeSchema } from '../identity/envelope.ts';
import { KiB } from '../lib/units.ts';

/** A newer head, a signed note, and that it holds all of the one which the heartbeat named. */
export const growthAnswer = z.object({
  checkpoint: z.string().max(128 * KiB),
  /** Hashes in base64; none after a head of the same size, or of no entries. */
  proof: z.array(z.base64().max(44)).max(64),
});
/** What is answered to a sign of life. */
export const seenAnswer = z.object({
  seq: z.int(),
  lastSeenMs: z.int(),
  /** `null` while nothing is published. */
  record: growthAnswer.nullable().optional(),
  /** The directory's signed word that this start of a machine is a copy of the node. */
  fence: envelopeSchema.optional(),
  /** Whether a copy of the node was heard of lately. */
  hasRival: z.boolean().optional(),
});
export type SeenAnswer = z.infer<typeof seenAnswer>;
