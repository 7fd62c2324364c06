import type { Identity } from '../identity/document.ts';
import { type Envelope, openEnvelope, parsePayload } from '../identity/envelope.ts';
import { sha256Hex } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { type Offer, offerSchema } from './spec.ts';

export class OfferError extends ZosError<'OFFER_FOREIGN'> {}

/** An offer with the SHA-256 of its payload; throws `OfferError`, `EnvelopeError`, `JsonError`. */
export function verifyOffer(
  envelope: Envelope,
  node: Identity,
  grid: string,
): Offer & { readonly id: string } {
  const payload = openEnvelope(envelope, 'offer', node.keys);
  const offer = parsePayload(payload, offerSchema);
  if (offer.node !== node.id || offer.grid !== grid) {
    throw new OfferError('OFFER_FOREIGN', 'The offer is of another node or grid than its signer.');
  }
  return { ...offer, id: sha256Hex(payload) };
}
