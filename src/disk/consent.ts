import { z } from 'zod';
import { idSchema, type Identity } from '../identity/document.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
} from '../identity/envelope.ts';
import { gridSchema, type Named } from '../identity/farm.ts';
import { sha256Hex } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class ConsentError extends ZosError<'CONSENT_FOREIGN' | 'CONSENT_EXPIRED'> {}

/** Consents that one node may have open at a time. */
export const CONSENTS_MAX = 64;

/** A serial number as the kernel gives it, without what can't be typed. */
export const serialSchema = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'no serial number');

export const consentSchema = z.strictObject({
  grid: gridSchema,
  farm: idSchema,
  farmer: idSchema,
  node: idSchema,
  serial: serialSchema,
  /** `take` for a disk that is wholly blank; `wipe` for one whatever is on it. */
  do: z.enum(['take', 'wipe']),
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  notAfterMs: z.int().positive(),
});
/** A farmer's word that one node may have one disk, once; its id is that of its payload. */
export type DiskConsent = z.infer<typeof consentSchema>;

declare const verified: unique symbol;
/** A consent that the farm's own farmer signed; nothing but `verifyConsent` makes any. */
export type VerifiedConsent = Named<DiskConsent> & { readonly [verified]: true };

/** Signs a consent with the farmer's keys. */
export function signConsent(consent: DiskConsent, signer: Signer): Envelope {
  return signEnvelope('disk-consent', consentSchema.parse(consent), signer);
}

/** Throws `ConsentError`, `EnvelopeError` or `JsonError`. */
export function verifyConsent(
  envelope: Envelope,
  farmer: Identity,
  expected: { readonly grid: string; readonly farm: string; readonly nowMs: number },
): VerifiedConsent {
  const payload = openEnvelope(envelope, 'disk-consent', farmer.keys);
  const consent = parsePayload(payload, consentSchema);
  const { grid, farm, nowMs } = expected;
  if (consent.farmer !== farmer.id || consent.farm !== farm || consent.grid !== grid) {
    throw new ConsentError(
      'CONSENT_FOREIGN',
      'This consent is for another farm, farmer or grid; sign one for this farm.',
    );
  }
  if (nowMs >= consent.notAfterMs) {
    throw new ConsentError('CONSENT_EXPIRED', 'This consent is past its end; sign a new one.');
  }
  return { ...consent, id: sha256Hex(payload) } as unknown as VerifiedConsent;
}
