import { sha256Hex, toBase64 } from '../lib/bytes.ts';
import { sha256Schema } from '../lib/names.ts';
import {
  BUNDLE_BYTES_MAX,
  DOCUMENT_BYTES_MAX,
  documentSchema,
  type IdentityBundle,
  IdentityError,
  type LinkDocument,
  partsOf,
  type PlainDocument,
  plainDocumentSchema,
} from './bundle.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  signEnvelope,
  signersOf,
  type TrustedKeys,
  untrustedPayload,
} from './envelope.ts';
import { keyBytes, type SecretKeys } from './keys.ts';

/** Lower-case hex SHA-256: the name of an identity, farm, offer or contract. */
export const idSchema = sha256Schema;

/** A document of a chain: its hash, and how high the key ranks that signed it (0 is highest). */
export type Link = { readonly digest: string; readonly rank: number };

declare const verified: unique symbol;
/** An identity whose documents name it by hash and grow out of each other, each one signed. */
export type Identity = {
  readonly id: string;
  readonly name: string;
  readonly keys: TrustedKeys;
  /** What is meant for its eyes alone is sealed to this; for a team, the first member's. */
  readonly sealingKey: Uint8Array;
  readonly chain: readonly Link[];
  /** The newest document; `null` for an identity of the first form, which never changes. */
  readonly newest: LinkDocument | null;
  /** Of a team. */
  readonly members: readonly Identity[];
} & { readonly [verified]: true };

/** The document of an identity that never changes; its id is the hash of the payload made here. */
export function signIdentity(name: string, keys: SecretKeys): Envelope {
  const document: PlainDocument = {
    version: 1,
    name,
    signingKeys: [toBase64(keys.signing.publicKey)],
    threshold: 1,
    sealingKey: toBase64(keys.sealing.publicKey),
  };
  return signEnvelope('identity', plainDocumentSchema.parse(document), keys.signing);
}

/**
 * Checks an identity against itself: the id is a hash over its first keys, and each later document
 * is signed by a key that the one before names, so nobody who hands it on, the directory included,
 * can put another key under a name. Whether a newer document exists somewhere is another question,
 * see `succeed`. With `expectedId` it has to be that identity. Throws `IdentityError`,
 * `EnvelopeError` or `JsonError`.
 */
export function verifyIdentity(bundle: IdentityBundle, expectedId?: string): Identity {
  refuseLong(bundle);
  const { chain, members } = partsOf(bundle);
  const identity = verifyChain(chain, members, expectedId);
  return identity as unknown as Identity;
}

/**
 * To whom the answer to something signed is sealed: the device or the member of a team who signed
 * it, else the identity's own key. The signatures have been checked before.
 */
export function sealingKeyFor(identity: Identity, signed: Envelope): Uint8Array {
  const by = (publicKey: Uint8Array): boolean => signersOf(signed, [publicKey]).length > 0;
  const device = identity.newest?.deviceKeys.find((it) => by(keyBytes(it.signingKey)));
  if (device !== undefined) return keyBytes(device.sealingKey);
  const member = identity.members.find(({ keys }) => signersOf(signed, keys.publicKeys).length > 0);
  return member === undefined ? identity.sealingKey : sealingKeyFor(member, signed);
}

type Checked = Omit<Identity, typeof verified>;

function verifyChain(
  chain: readonly Envelope[],
  members: readonly IdentityBundle[],
  expectedId: string | undefined,
): Checked {
  const first = payloadOf(chain[0]);
  const id = sha256Hex(first);
  if (expectedId !== undefined && id !== expectedId) {
    throw new IdentityError('IDENTITY_MISMATCH', 'This document is of another identity.', {
      facts: { expectedId, id },
    });
  }
  // A document that names its own keys has to be read before it can be checked against them.
  const document = parsePayload(first, documentSchema);
  if (document.version === 1) {
    if (chain.length > 1 || members.length > 0) {
      throw broken('An identity of the first form stands alone; send its document only.');
    }
    return verifyPlain(chain[0] as Envelope, id, document);
  }
  const { links, newest } = followLinks(chain, document);
  const team = verifyMembers(newest, members);
  return {
    id,
    name: newest.name,
    keys: keysOf(newest, team),
    sealingKey: team[0]?.sealingKey ?? keyBytes(newest.sealingKeys[0] ?? ''),
    chain: links,
    newest,
    members: team,
  };
}

function verifyPlain(envelope: Envelope, id: string, document: PlainDocument): Checked {
  const publicKeys = document.signingKeys.map(keyBytes);
  const { threshold } = document;
  if (threshold > new Set(document.signingKeys).size) {
    throw new IdentityError(
      'IDENTITY_MALFORMED',
      'The threshold is higher than the keys are many.',
    );
  }
  const keys = { publicKeys, threshold };
  openEnvelope(envelope, 'identity', keys);
  const sealingKey = keyBytes(document.sealingKey);
  const chain = [{ digest: id, rank: 0 }];
  return { id, name: document.name, keys, sealingKey, chain, newest: null, members: [] };
}

/** Walks the chain from the first document, which is signed by a rotation key of its own. */
function followLinks(
  chain: readonly Envelope[],
  first: LinkDocument,
): { links: Link[]; newest: LinkDocument } {
  let newest = first;
  const links: Link[] = [];
  for (const envelope of chain) {
    const payload = payloadOf(envelope);
    const document = links.length === 0 ? first : parsePayload(payload, documentSchema);
    if (document.version !== 2 || document.previous !== (links.at(-1)?.digest ?? null)) {
      throw broken('A document does not grow out of the one before it; send the whole chain.');
    }
    links.push({ digest: sha256Hex(payload), rank: rankOf(envelope, newest.rotationKeys) });
    newest = document;
  }
  return { links, newest };
}

/** The rank of the one key that signed, out of those that may; the signature covers the bytes. */
function rankOf(envelope: Envelope, rotationKeys: readonly string[]): number {
  if (envelope.signatures.length !== 1) {
    throw broken('A document of an identity carries one signature, by one of its rotation keys.');
  }
  const rank = rotationKeys.findIndex((key) => isBy(envelope, keyBytes(key)));
  if (rank >= 0) return rank;
  throw new IdentityError(
    'IDENTITY_UNTRUSTED',
    'A document is not signed by a rotation key that the one before it names; sign with one.',
  );
}

function isBy(envelope: Envelope, publicKey: Uint8Array): boolean {
  try {
    openEnvelope(envelope, 'identity', { publicKeys: [publicKey], threshold: 1 });
    return true;
  } catch {
    return false;
  }
}

function verifyMembers(team: LinkDocument, bundles: readonly IdentityBundle[]): Identity[] {
  if (team.members.length !== bundles.length) {
    throw new IdentityError(
      'MEMBERS_WRONG',
      `The team has ${team.members.length} members and ${bundles.length} came with it; send all.`,
    );
  }
  return team.members.map((id, at) => {
    const { chain, members } = partsOf(bundles[at] as IdentityBundle);
    const member = verifyChain(chain, members, id);
    if (member.members.length === 0) return member as unknown as Identity;
    throw new IdentityError('MEMBERS_WRONG', 'A member of a team is a team; name its people.');
  });
}

function keysOf(document: LinkDocument, team: readonly Identity[]): TrustedKeys {
  const devices = document.deviceKeys.map(({ signingKey }) => signingKey);
  const publicKeys = [...document.signingKeys, ...devices].map(keyBytes);
  const { threshold } = document;
  if (team.length === 0) return { publicKeys, threshold };
  return { publicKeys, threshold, members: team.map(({ keys }) => keys) };
}

function payloadOf(envelope: Envelope | undefined): Uint8Array {
  if (envelope === undefined) throw broken('An identity without a document is none; send it.');
  const payload = untrustedPayload(envelope, 'identity');
  if (payload.length <= DOCUMENT_BYTES_MAX) return payload;
  throw new IdentityError(
    'IDENTITY_MALFORMED',
    `A document of an identity has ${DOCUMENT_BYTES_MAX} bytes at most; name fewer things in it.`,
  );
}

/** Before anything is checked: so much work at most can be asked of who checks it. */
function refuseLong(bundle: IdentityBundle): void {
  const { chain, members } = partsOf(bundle);
  const all = [...chain, ...members.flatMap((member) => partsOf(member).chain)];
  const lengthBytes = all.reduce((sum, { payload }) => sum + payload.length, 0);
  if (lengthBytes <= BUNDLE_BYTES_MAX) return;
  throw new IdentityError(
    'IDENTITY_MALFORMED',
    `An identity has ${BUNDLE_BYTES_MAX} bytes at most, its members included; begin a new one.`,
  );
}

function broken(sentence: string): IdentityError {
  return new IdentityError('IDENTITY_BROKEN', sentence);
}
