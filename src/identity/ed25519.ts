import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import nacl from 'tweetnacl';

export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

export type SignatureClaim = {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
};

export type Engine = 'node' | 'tweetnacl';

/** In a browser `node:crypto` is an empty module (`browser` in package.json), and this knows it. */
const DEFAULT_ENGINE: Engine = typeof createPublicKey === 'function' ? 'node' : 'tweetnacl';

/**
 * The one strict check of Ed25519 (RFC 8032 section 5.1.7) that everything here uses; never throws.
 *
 * Libraries disagree about edge cases (Chalkias et al., "Taming the many EdDSAs", 2020), so the
 * cases are decided before a library is asked: S < L, canonical A and R, neither of small order.
 */
export function isValidSignature(claim: SignatureClaim, engine: Engine = DEFAULT_ENGINE): boolean {
  if (!isStrict(claim)) return false;
  return ENGINES[engine](claim);
}

/**
 * Signs with a 64-byte secret key (seed, then public key). Ed25519 is deterministic (RFC 8032
 * section 5.1.6), so either engine makes the same bytes; Node's is a hundred times as fast.
 */
export function signMessage(
  message: Uint8Array,
  secretKey: Uint8Array,
  engine: Engine = DEFAULT_ENGINE,
): Uint8Array {
  if (engine === 'tweetnacl') return nacl.sign.detached(message, secretKey);
  const der = Buffer.concat([PKCS8_PREFIX, secretKey.subarray(0, 32)]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return new Uint8Array(sign(null, message, key));
}

/** 2^255 - 19, the field's prime, and L, the order of the base point (RFC 8032 section 5.1). */
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The y coordinates of the eight points of small order; canonical encodings, sign bit cleared. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  P - 1n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
]);

function isStrict({ publicKey, signature }: SignatureClaim): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  if (littleEndian(signature.subarray(32)) >= L) return false;
  return isStrictPoint(publicKey) && isStrictPoint(signature.subarray(0, 32));
}

function isStrictPoint(encoded: Uint8Array): boolean {
  const y = littleEndian(encoded) & (2n ** 255n - 1n);
  return y < P && !SMALL_ORDER_Y.has(y);
}

/** 32 bytes, the least significant first; no `Buffer`, which a browser does not have. */
function littleEndian(bytes: Uint8Array): bigint {
  const words = new DataView(bytes.buffer, bytes.byteOffset, 32);
  return [24, 16, 8, 0].reduce((sum, at) => (sum << 64n) | words.getBigUint64(at, true), 0n);
}

/**
 * The ASN.1 that stands before a raw Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4).
 */
const SPKI_PREFIX = Uint8Array.from([48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0]);

/** The ASN.1 that stands before a seed in a private key's PKCS #8 (RFC 8410 section 7). */
const PKCS8_PREFIX = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]);

const ENGINES = {
  node: ({ publicKey, message, signature }) => {
    try {
      const der = Buffer.concat([SPKI_PREFIX, publicKey]);
      return verify(
        null,
        message,
        createPublicKey({ key: der, format: 'der', type: 'spki' }),
        signature,
      );
    } catch {
      return false;
    }
  },
  tweetnacl: ({ publicKey, message, signature }) => {
    try {
      return nacl.sign.detached.verify(message, signature, publicKey);
    } catch {
      return false;
    }
  },
} satisfies Record<Engine, (claim: SignatureClaim) => boolean>;
