import nacl from 'tweetnacl';
import { concatBytes } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class SealError extends ZosError<'SEAL_BROKEN'> {}

/** How many bytes a sealed box is longer than what it holds. */
export const SEAL_OVERHEAD_BYTES =
  nacl.box.publicKeyLength + nacl.box.nonceLength + nacl.box.overheadLength;

/**
 * Seals bytes to an X25519 key (NaCl box under a key pair made for this box only, which stands in
 * front of it with the nonce). Only the holder of the secret key can open it; it says nothing of
 * who sealed it, so whatever is sealed travels inside something signed.
 */
export function sealTo(recipientKey: Uint8Array, plain: Uint8Array): Uint8Array {
  const once = nacl.box.keyPair();
  const nonce = nacl.randomBytes(nacl.box.nonceLength);
  const box = nacl.box(plain, nonce, recipientKey, once.secretKey);
  once.secretKey.fill(0);
  return concatBytes(once.publicKey, nonce, box);
}

/** Opens what was sealed to `secretKey`; throws `SealError`. */
export function openSealed(secretKey: Uint8Array, sealed: Uint8Array): Uint8Array {
  const nonceStart = nacl.box.publicKeyLength;
  const boxStart = nonceStart + nacl.box.nonceLength;
  const plain =
    sealed.length < SEAL_OVERHEAD_BYTES
      ? null
      : nacl.box.open(
          sealed.subarray(boxStart),
          sealed.subarray(nonceStart, boxStart),
          sealed.subarray(0, nonceStart),
          secretKey,
        );
  if (plain === null) {
    throw new SealError(
      'SEAL_BROKEN',
      'This was sealed to another key, or was changed on its way.',
    );
  }
  return plain;
}
