import nacl from 'tweetnacl';
import type { Contract } from '../../../src/contract/spec.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import {
  type Envelope,
  type PayloadKind,
  payloadTypeOf,
  preAuthenticationEncoding,
  type Signer,
  signEnvelope,
} from '../../../src/identity/envelope.ts';
import { signMessage } from '../../../src/identity/ed25519.ts';
import { keyIdOf, type SecretKeys } from '../../../src/identity/keys.ts';
import { fromHex, sha256Hex, toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { makeContract, type Person } from '../contracts.ts';

/** Keys out of a name: the same ones wherever and whenever they are made. */
export function keysOf(name: string): SecretKeys {
  const seed = (use: string): Uint8Array =>
    fromHex(sha256Hex(utf8(`zos vectors ${name} ${use}`))) ?? new Uint8Array();
  return {
    signing: nacl.sign.keyPair.fromSeed(seed('signing')),
    sealing: nacl.box.keyPair.fromSecretKey(seed('sealing')),
  };
}

/** A document as its writer wants it, signed by whoever. */
export function documentOf(
  content: {
    readonly name: string;
    readonly signingKeys: readonly Uint8Array[];
    readonly threshold: number;
  },
  ...signers: Signer[]
): Envelope {
  const { name, signingKeys, threshold } = content;
  const sealingKey = toBase64(keysOf(name).sealing.publicKey);
  const document = { version: 1, name, signingKeys: signingKeys.map(toBase64), threshold };
  return signEnvelope('identity', { ...document, sealingKey }, ...signers);
}

/** Somebody with one key, made out of their name. */
export function personOf(name: string): Person {
  const keys = keysOf(name);
  const { publicKey } = keys.signing;
  const document = documentOf({ name, signingKeys: [publicKey], threshold: 1 }, keys.signing);
  return { keys, document, id: verifyIdentity(document).id };
}

/** Any bytes as the payload of a contract, with true signatures: a hostile tenant can do that. */
export function envelopeOf(
  payload: Uint8Array,
  signers: readonly Signer[],
  kind: PayloadKind = 'contract',
): Envelope {
  const covered = preAuthenticationEncoding(payloadTypeOf(kind), payload);
  const signatures = signers.map(({ publicKey, secretKey }) => ({
    keyid: keyIdOf(publicKey),
    sig: toBase64(signMessage(covered, secretKey)),
  }));
  return { payloadType: payloadTypeOf('contract'), payload: toBase64(payload), signatures };
}

/** The contract that every vector is a variation of. */
export function plainContract(tenant: Person, changes: Partial<Contract> = {}): Contract {
  return makeContract(tenant, changes);
}
