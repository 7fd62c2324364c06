import nacl from 'tweetnacl';
import { z } from 'zod';
import { fromBase64, sha256Hex, toBase64 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class KeyError extends ZosError<'KEY_MALFORMED'> {}

/** Everything secret that an identity holds; it never leaves the machine that made it. */
export type SecretKeys = {
  /** Ed25519, for signing: 64 bytes, seed then public key. */
  readonly signing: nacl.SignKeyPair;
  /** X25519, for opening what was sealed to this identity: 32 bytes each. */
  readonly sealing: nacl.BoxKeyPair;
  /** Ed25519, for changing the identity's documents; on who has none, they never change. */
  readonly rotation?: nacl.SignKeyPair;
};

/** New keys from the system's random source. */
export function makeSecretKeys(): SecretKeys {
  return { signing: nacl.sign.keyPair(), sealing: nacl.box.keyPair() };
}

/** As `makeSecretKeys`, with a key that changes the identity. */
export function makeRotatingKeys(): SecretKeys & { readonly rotation: nacl.SignKeyPair } {
  return { ...makeSecretKeys(), rotation: nacl.sign.keyPair() };
}

/** The bytes of a key in a document whose schema holds. */
export function keyBytes(text: string): Uint8Array {
  return fromBase64(text) ?? new Uint8Array();
}

/** The hint in a signature that says which key made it: SHA-256 of the raw public key, hex. */
export function keyIdOf(publicKey: Uint8Array): string {
  return sha256Hex(publicKey);
}

const secretKeysFile = z.strictObject({
  signingSeed: z.string().length(44),
  sealingSecret: z.string().length(44),
  rotationSeed: z.string().length(44).optional(),
});

/** The text of a key file; whoever reads it is the identity, so it is written with mode 0600. */
export function encodeSecretKeys(keys: SecretKeys): string {
  const file = {
    signingSeed: toBase64(keys.signing.secretKey.subarray(0, 32)),
    sealingSecret: toBase64(keys.sealing.secretKey),
    ...(keys.rotation === undefined
      ? {}
      : { rotationSeed: toBase64(keys.rotation.secretKey.subarray(0, 32)) }),
  };
  return `${JSON.stringify(file)}\n`;
}

/** Reads a key file back; throws `KeyError` without a word of what it held. */
export function decodeSecretKeys(text: string): SecretKeys {
  const malformed = 'The key file is damaged; restore it from your backup.';
  try {
    const file = secretKeysFile.parse(JSON.parse(text));
    const keys = {
      signing: nacl.sign.keyPair.fromSeed(keyBytes(file.signingSeed)),
      sealing: nacl.box.keyPair.fromSecretKey(keyBytes(file.sealingSecret)),
    };
    if (file.rotationSeed === undefined) return keys;
    return { ...keys, rotation: nacl.sign.keyPair.fromSeed(keyBytes(file.rotationSeed)) };
  } catch {
    // The cause is dropped on purpose: a parser's error quotes what it could not parse.
  }
  throw new KeyError('KEY_MALFORMED', malformed);
}
