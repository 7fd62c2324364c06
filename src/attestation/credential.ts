import { constants, createCipheriv, createHmac, publicEncrypt, X509Certificate } from 'node:crypto';
import { bigEndian, concatBytes, utf8 } from '../lib/bytes.ts';
import { AttestationError } from './spec.ts';

/** What a credential is made of: the secret to hide, and a seed; both 32 bytes of chance. */
export type CredentialSecrets = { readonly secret: Uint8Array; readonly seed: Uint8Array };

/** Reads an X.509 certificate in DER; throws `AttestationError`. */
export function parseCertificate(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw new AttestationError('ENDORSEMENT_UNKNOWN', 'The endorsement certificate is damaged.', {
      cause,
    });
  }
}

/**
 * TPM2_MakeCredential in software (part 3, 12.6; part 1, 24 "Credential Protection"): only the TPM
 * that holds the certificate's key can open it, and only while it holds the key of this name. For
 * RSA endorsement keys with SHA-256 and AES-128, the TCG's template L-1. Throws
 * `AttestationError` for any other.
 */
export function makeCredential(
  certificate: X509Certificate,
  name: Uint8Array,
  { secret, seed }: CredentialSecrets,
): { readonly idObject: Uint8Array; readonly encryptedSeed: Uint8Array } {
  const { publicKey } = certificate;
  if (publicKey.asymmetricKeyType !== 'rsa') {
    throw new AttestationError('KEY_UNFIT', 'The endorsement key is not RSA; no credential fits.');
  }
  // Part 1, B.4: OAEP with the name's hash, and a label that ends in a zero.
  const encryptedSeed = publicEncrypt(
    {
      key: publicKey,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: utf8('IDENTITY\0'),
    },
    seed,
  );
  const plain = concatBytes(bigEndian(secret.length, 2), secret);
  const key = deriveKey({ key: seed, label: 'STORAGE', context: name, bits: 128 });
  const cipher = createCipheriv('aes-128-cfb', key, new Uint8Array(16));
  const hidden = concatBytes(cipher.update(plain), cipher.final());
  const macKey = deriveKey({ key: seed, label: 'INTEGRITY', context: new Uint8Array(), bits: 256 });
  const mac = createHmac('sha256', macKey).update(hidden).update(name).digest();
  return { idObject: concatBytes(bigEndian(mac.length, 2), mac, hidden), encryptedSeed };
}

type Derivation = {
  readonly key: Uint8Array;
  readonly label: string;
  readonly context: Uint8Array;
  readonly bits: 128 | 256;
};

/** KDFa (part 1, 11.4.10.2) where one block of SHA-256 is enough. */
function deriveKey({ key, label, context, bits }: Derivation): Uint8Array {
  const block = createHmac('sha256', key)
    .update(bigEndian(1, 4))
    .update(utf8(`${label}\0`))
    .update(context)
    .update(bigEndian(bits, 4))
    .digest();
  return new Uint8Array(block.subarray(0, bits / 8));
}
