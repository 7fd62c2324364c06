import { sha256Hex, toBase64 } from '../lib/bytes.ts';
import {
  bundleOf,
  type Device,
  documentSchema,
  type IdentityBundle,
  IdentityError,
  type LinkDocument,
  linkDocumentSchema,
  partsOf,
} from './bundle.ts';
import type { Identity } from './document.ts';
import {
  type Envelope,
  parsePayload,
  type Signer,
  signEnvelope,
  untrustedPayload,
} from './envelope.ts';
import type { SecretKeys } from './keys.ts';

/** What a change may say anew; the rest stays as it is. */
export type Change = Partial<Omit<LinkDocument, 'version' | 'previous'>>;

export type NewIdentity = {
  readonly name: string;
  readonly keys: SecretKeys & { readonly rotation: Signer };
  /** The public key of the recovery words, which ranks above everything on this machine. */
  readonly recoveryKey: Uint8Array;
};

/** The first document of an identity that can change; signed by the key that stays at hand. */
export function beginIdentity({ name, keys, recoveryKey }: NewIdentity): Envelope {
  return signDocument(
    {
      version: 2,
      previous: null,
      name,
      rotationKeys: [toBase64(recoveryKey), toBase64(keys.rotation.publicKey)],
      signingKeys: [toBase64(keys.signing.publicKey)],
      deviceKeys: [],
      members: [],
      threshold: 1,
      sealingKeys: [toBase64(keys.sealing.publicKey)],
      services: [],
      names: [],
    },
    keys.rotation,
  );
}

export type NewTeam = {
  readonly name: string;
  /** The ids of the members. */
  readonly members: readonly string[];
  /** So many of them sign for the team. */
  readonly threshold: number;
  /** Who changes the team later, the highest rank first. */
  readonly rotationKeys: readonly Uint8Array[];
};

/** The first document of a team, signed by one of its rotation keys. */
export function beginTeam(team: NewTeam, signer: Signer): Envelope {
  return signDocument(
    {
      version: 2,
      previous: null,
      name: team.name,
      rotationKeys: team.rotationKeys.map(toBase64),
      signingKeys: [],
      deviceKeys: [],
      members: [...team.members],
      threshold: team.threshold,
      sealingKeys: [],
      services: [],
      names: [],
    },
    signer,
  );
}

/**
 * The chain with one more document at its end, signed by a rotation key that its newest document
 * names; whether that holds is for `verifyIdentity` to say. Throws `IdentityError`.
 */
export function changeIdentity(
  chain: readonly Envelope[],
  change: Change,
  signer: Signer,
): Envelope[] {
  const newest = documentAt(chain, chain.length - 1);
  const previous = digestAt(chain, chain.length - 1);
  return [...chain, signDocument({ ...newest, ...change, previous }, signer)];
}

/**
 * The chain without its documents from `from` on, and in their place one that says again what held
 * before them, or what `change` says. It takes effect when `signer` outranks who signed the first
 * of them and 72 hours have not passed. Throws `IdentityError`.
 */
export function undoChanges(
  chain: readonly Envelope[],
  wish: { readonly from: number; readonly change?: Change },
  signer: Signer,
): Envelope[] {
  if (wish.from < 1 || wish.from >= chain.length) {
    throw new IdentityError('IDENTITY_BROKEN', 'There is no such change to undo.');
  }
  return changeIdentity(chain.slice(0, wish.from), wish.change ?? {}, signer);
}

/** A device to be added, as it introduces itself. */
export function deviceOf(name: string, keys: SecretKeys): Device {
  return {
    name,
    signingKey: toBase64(keys.signing.publicKey),
    sealingKey: toBase64(keys.sealing.publicKey),
  };
}

/** What a document of a chain says; throws `IdentityError` for one that can't change. */
export function documentAt(chain: readonly Envelope[], at: number): LinkDocument {
  const document = parsePayload(payloadAt(chain, at), documentSchema);
  if (document.version === 2) return document;
  throw new IdentityError(
    'IDENTITY_BROKEN',
    'This identity is of the first form, which never changes; make a new one.',
  );
}

/** A bundle with other documents, and the members that it came with. */
export function withChain(bundle: IdentityBundle, chain: readonly Envelope[]): IdentityBundle {
  return bundleOf(chain, partsOf(bundle).members);
}

/** Whether a key may change an identity, and how high it ranks; `undefined` if it may not. */
export function rankIn(identity: Identity, publicKey: Uint8Array): number | undefined {
  const rank = identity.newest?.rotationKeys.indexOf(toBase64(publicKey)) ?? -1;
  return rank < 0 ? undefined : rank;
}

function digestAt(chain: readonly Envelope[], at: number): string {
  return sha256Hex(payloadAt(chain, at));
}

function payloadAt(chain: readonly Envelope[], at: number): Uint8Array {
  const envelope = chain[at];
  if (envelope !== undefined) return untrustedPayload(envelope, 'identity');
  throw new IdentityError('IDENTITY_BROKEN', 'An identity without a document is none; send it.');
}

function signDocument(document: LinkDocument, signer: Signer): Envelope {
  return signEnvelope('identity', linkDocumentSchema.parse(document), signer);
}
