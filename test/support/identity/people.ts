import { createHash } from 'node:crypto';
import nacl from 'tweetnacl';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { bundleOf, type IdentityBundle } from '../../../src/identity/bundle.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { type Envelope, type Signer, untrustedPayload } from '../../../src/identity/envelope.ts';
import type { SecretKeys } from '../../../src/identity/keys.ts';
import { beginIdentity, beginTeam } from '../../../src/identity/operation.ts';

export type Owner = {
  readonly id: string;
  readonly keys: SecretKeys & { readonly rotation: Signer & nacl.SignKeyPair };
  /** What the recovery words stand for. */
  readonly recovery: nacl.SignKeyPair;
  readonly chain: readonly Envelope[];
};

/** 32 bytes that are the same at every run. */
export function seedOf(text: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(text).digest());
}

/** Keys that are the same at every run, for vectors that stay as they are. */
export function keysFrom(text: string): Owner['keys'] {
  return {
    signing: nacl.sign.keyPair.fromSeed(seedOf(`${text} signing`)),
    sealing: nacl.box.keyPair.fromSecretKey(seedOf(`${text} sealing`)),
    rotation: nacl.sign.keyPair.fromSeed(seedOf(`${text} rotation`)),
  };
}

/** Somebody whose identity can change. */
export function makeOwner(name: string): Owner {
  const keys = keysFrom(name);
  const recovery = nacl.sign.keyPair.fromSeed(seedOf(`${name} recovery`));
  const first = beginIdentity({ name, keys, recoveryKey: recovery.publicKey });
  return { id: verifyIdentity(first).id, keys, recovery, chain: [first] };
}

/** A team of owners, which its first one can change. */
export function makeTeam(
  name: string,
  members: readonly Pick<Owner, 'id' | 'chain' | 'keys' | 'recovery'>[],
  threshold: number,
): { readonly id: string; readonly bundle: IdentityBundle } {
  const [founder] = members;
  if (founder === undefined) throw new Error('a team has a founder');
  const rotationKeys = [founder.recovery.publicKey, founder.keys.rotation.publicKey];
  const ids = members.map(({ id }) => id);
  const first = beginTeam({ name, members: ids, threshold, rotationKeys }, founder.keys.rotation);
  const bundle = bundleOf(
    [first],
    members.map(({ chain }) => bundleOf(chain)),
  );
  return { id: sha256Hex(untrustedPayload(first, 'identity')), bundle };
}
