import { z } from 'zod';
import { fromBase64, sha256Hex, toBase64 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { sha256Schema } from '../lib/names.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  signEnvelope,
  type TrustedKeys,
  untrustedPayload,
} from './envelope.ts';
import type { SecretKeys } from './keys.ts';

export class IdentityError extends ZosError<'IDENTITY_MISMATCH' | 'IDENTITY_MALFORMED'> {}

/** Lower-case hex SHA-256: the name of an identity, farm, offer or contract. */
export const idSchema = sha256Schema;

const rawKey = z.string().refine((text) => fromBase64(text)?.length === 32, 'not a 32-byte key');

const documentSchema = z.strictObject({
  version: z.literal(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'a-z, 0-9, dots and dashes, 63 at most'),
  signingKeys: z.array(rawKey).min(1).max(16),
  threshold: z.int().min(1).max(16),
  sealingKey: rawKey,
});
export type IdentityDocument = z.infer<typeof documentSchema>;

declare const verified: unique symbol;
/** An identity whose document names itself by hash and is signed by its own keys. */
export type Identity = {
  readonly id: string;
  readonly name: string;
  readonly keys: TrustedKeys;
  readonly sealingKey: Uint8Array;
} & { readonly [verified]: true };

/** The first document of a new identity; its id is the hash of the payload made here. */
export function signIdentity(name: string, keys: SecretKeys): Envelope {
  const document: IdentityDocument = {
    version: 1,
    name,
    signingKeys: [toBase64(keys.signing.publicKey)],
    threshold: 1,
    sealingKey: toBase64(keys.sealing.publicKey),
  };
  return signEnvelope('identity', documentSchema.parse(document), keys.signing);
}

/**
 * Checks an identity document against itself: the id is a hash over its keys, so nobody who hands
 * it on, the directory included, can put another key under a name. With `expectedId` it has to be
 * that identity. Throws `IdentityError`, `EnvelopeError` or `JsonError`.
 */
export function verifyIdentity(envelope: Envelope, expectedId?: string): Identity {
  const payload = untrustedPayload(envelope, 'identity');
  const id = sha256Hex(payload);
  if (expectedId !== undefined && id !== expectedId) {
    throw new IdentityError('IDENTITY_MISMATCH', 'This document is of another identity.', {
      facts: { expectedId, id },
    });
  }
  // A document that names its own keys has to be read before it can be checked against them.
  const document = parsePayload(payload, documentSchema);
  const publicKeys = document.signingKeys.map(keyBytes);
  const { threshold } = document;
  if (threshold > new Set(document.signingKeys).size) {
    throw new IdentityError(
      'IDENTITY_MALFORMED',
      'The threshold is higher than the keys are many.',
    );
  }
  openEnvelope(envelope, 'identity', { publicKeys, threshold });
  const keys = { publicKeys, threshold };
  const identity = { id, name: document.name, keys, sealingKey: keyBytes(document.sealingKey) };
  return identity as unknown as Identity;
}

function keyBytes(text: string): Uint8Array {
  return fromBase64(text) ?? new Uint8Array();
}
