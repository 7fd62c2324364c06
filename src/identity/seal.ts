import { createHmac, timingSafeEqual } from 'node:crypto';
import nacl from 'tweetnacl';
import { concatBytes } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class SealError extends ZosError<'SEAL_BROKEN' | 'SEAL_FOREIGN'> {}

/** How many bytes a sealed box is longer than what it holds. */
export const SEAL_OVERHEAD_BYTES =
  nacl.box.publicKeyLength + nacl.box.nonceLength + nacl.box.overheadLength;

/**
 * Seals bytes to an X25519 key (NaCl box under a key pair made for this box only, which stands in
 * front of it with the nonce). Only the holder of the secret key can open it; it says nothing of
 * who sealed it, so whatever is sealed travels inside something signed.
 */
export function sealTo(recipientKey: Uint8Array, plain: Uint8Array): Uint8Array {
  return sealWith(recipientKey, plain, {
    once: nacl.box.keyPair(),
    nonce: nacl.randomBytes(nacl.box.nonceLength),
  });
}

type Once = { readonly once: nacl.BoxKeyPair; readonly nonce: Uint8Array };

function sealWith(recipientKey: Uint8Array, plain: Uint8Array, { once, nonce }: Once): Uint8Array {
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
  if (plain === null) throw broken();
  return plain;
}

export const BINDING_BYTES = 32;
/** A value's length is told in steps of this only. */
const PADDED_BYTES = 256;

export type BoundSecret = {
  readonly recipientKey: Uint8Array;
  /** A hash over everything that the value is for. */
  readonly binding: Uint8Array;
  readonly value: Uint8Array;
  /** Known to the sealer alone. */
  readonly sealerSecret: Uint8Array;
};

/**
 * Seals a value so that it opens for one purpose only: who copies the box into something of their
 * own gets nothing, because the binding is inside. The same sealer, purpose and value give the same
 * box (key and nonce come out of HMAC-SHA-512 over all of them), so that signing again what did not
 * change changes nothing; the length shows in steps of 256 bytes.
 */
export function sealBound({ recipientKey, binding, value, sealerSecret }: BoundSecret): Uint8Array {
  const lengthBytes = BINDING_BYTES + 4 + value.length;
  const plain = new Uint8Array(Math.ceil(lengthBytes / PADDED_BYTES) * PADDED_BYTES);
  plain.set(binding);
  new DataView(plain.buffer).setUint32(BINDING_BYTES, value.length);
  plain.set(value, BINDING_BYTES + 4);
  const seed = createHmac('sha512', sealerSecret)
    .update('zos-seal-bound\n')
    .update(recipientKey)
    .update(plain)
    .digest();
  try {
    return sealWith(recipientKey, plain, {
      once: nacl.box.keyPair.fromSecretKey(Uint8Array.from(seed.subarray(0, 32))),
      nonce: Uint8Array.from(seed.subarray(32, 32 + nacl.box.nonceLength)),
    });
  } finally {
    plain.fill(0);
    seed.fill(0);
  }
}

/** Opens what `sealBound` made for this binding; throws `SealError`. Wipe it after use. */
export function openBound(
  secretKey: Uint8Array,
  binding: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  const plain = openSealed(secretKey, sealed);
  try {
    if (plain.length < BINDING_BYTES + 4) throw broken();
    const lengthBytes = new DataView(plain.buffer, plain.byteOffset).getUint32(BINDING_BYTES);
    if (lengthBytes > plain.length - BINDING_BYTES - 4) throw broken();
    if (!timingSafeEqual(plain.subarray(0, BINDING_BYTES), binding)) {
      throw new SealError('SEAL_FOREIGN', 'This was sealed for another purpose than it is put to.');
    }
    return plain.slice(BINDING_BYTES + 4, BINDING_BYTES + 4 + lengthBytes);
  } finally {
    plain.fill(0);
  }
}

function broken(): SealError {
  return new SealError('SEAL_BROKEN', 'This was sealed to another key, or was changed on its way.');
}
