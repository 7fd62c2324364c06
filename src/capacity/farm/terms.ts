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
import { countrySchema } from './countries.ts';
import { ZosError } from '../../lib/errors.ts';
import { FREE, type Prices, pricesSchema } from '../price.ts';

export class TermsError extends ZosError<'TERMS_FOREIGN' | 'TERMS_OLD'> {}

export const locationSchema = z.strictObject({
  country: countrySchema,
  city: z
    .string()
    .regex(/^\p{L}[\p{L}\p{M} .'-]{0,59}$/u, 'letters, spaces, dots, dashes, 60 at most')
    .nullable(),
  /** Tenths of a degree, about ten kilometres: enough to choose by, too little to find a house. */
  at: z
    .strictObject({
      latitudeTenths: z.int().min(-900).max(900),
      longitudeTenths: z.int().min(-1800).max(1800),
    })
    .nullable(),
});
/** Where a farm is, as its farmer says. */
export type Location = z.infer<typeof locationSchema>;

export const payoutSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9:._-]{0,127}$/, 'letters, digits and : . _ -, 128 at most');

export const termsSchema = z.strictObject({
  grid: gridSchema,
  farm: idSchema,
  farmer: idSchema,
  /** Grows with every change: older terms never replace newer ones. */
  version: z.int().min(1),
  location: locationSchema.nullable(),
  /** Where the farmer is paid. */
  payout: payoutSchema.nullable(),
  /** What its nodes put in their offers from then on; what a contract agreed to stays. */
  prices: pricesSchema,
});
/** What a farmer asks for the farm's capacity and says of the farm, signed by the farmer. */
export type Terms = z.infer<typeof termsSchema>;

declare const verified: unique symbol;
/** Terms that the farm's own farmer signed; nothing but `verifyTerms` makes any. */
export type VerifiedTerms = Terms & { readonly [verified]: true };

/** What an offer says where no terms were signed. */
export const NO_TERMS: { readonly version: number; readonly prices: Prices } = {
  version: 0,
  prices: FREE,
};

/** Signs terms with the farmer's keys. */
export function signTerms(terms: Terms, signer: Signer): Envelope {
  return signEnvelope('farm-terms', termsSchema.parse(terms), signer);
}

/** Throws `TermsError`, `EnvelopeError` or `JsonError`. */
export function verifyTerms(
  envelope: Envelope,
  farmer: Identity,
  expected: { readonly grid: string; readonly farm: string },
): VerifiedTerms {
  const terms = parsePayload(openEnvelope(envelope, 'farm-terms', farmer.keys), termsSchema);
  const isForeign =
    terms.farmer !== farmer.id || terms.farm !== expected.farm || terms.grid !== expected.grid;
  if (!isForeign) return terms as unknown as VerifiedTerms;
  throw new TermsError(
    'TERMS_FOREIGN',
    'These terms are for another farm, farmer or grid; sign some for this farm.',
    { facts: { farm: terms.farm, expected: expected.farm } },
  );
}

/** Throws `TermsError` for terms that are older than those that are held. */
export function refuseOlderTerms(terms: Terms, heldVersion: number): void {
  if (terms.version > heldVersion) return;
  throw new TermsError(
    'TERMS_OLD',
    `Version ${heldVersion} of this farm's terms is known already; sign a later one.`,
    { facts: { version: heldVersion } },
  );
}
