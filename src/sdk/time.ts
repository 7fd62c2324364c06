import { z } from 'zod';
import type { Identity } from '../identity/document.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
} from '../identity/envelope.ts';
import { gridSchema } from '../identity/farm.ts';
import { ZosError } from '../lib/errors.ts';

export class TimeError extends ZosError<'TIME_FOREIGN'> {}

const timeSchema = z.strictObject({
  grid: gridSchema,
  /** The asker's own, so that an old answer is worth nothing. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  nowMs: z.int().positive(),
});
export type Time = z.infer<typeof timeSchema>;

/** The directory's clock, signed for one asker. */
export function signTime(time: Time, signer: Signer): Envelope {
  return signEnvelope('time', timeSchema.parse(time), signer);
}

/** The directory's time as it answered this nonce; throws `TimeError` and below. */
export function verifyTime(
  envelope: Envelope,
  directory: Identity,
  expected: { readonly grid: string; readonly nonce: string },
): number {
  const time = parsePayload(openEnvelope(envelope, 'time', directory.keys), timeSchema);
  if (time.grid === expected.grid && time.nonce === expected.nonce) return time.nowMs;
  throw new TimeError('TIME_FOREIGN', 'This time was signed for another question; ask again.');
}
