import { z } from 'zod';
import { fromBase64 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { labelSchema, sha256Schema } from '../lib/names.ts';
import { KiB } from '../lib/units.ts';
import { type Envelope, envelopeSchema } from './envelope.ts';

/** What can be wrong with an identity, or with a change of one. */
export class IdentityError extends ZosError<
  | 'IDENTITY_MISMATCH'
  | 'IDENTITY_MALFORMED'
  | 'IDENTITY_BROKEN'
  | 'IDENTITY_UNTRUSTED'
  | 'IDENTITY_OLD'
  | 'IDENTITY_FORKED'
  | 'UNDO_LATE'
  | 'MEMBERS_WRONG'
> {}

/** An identity changes this often, less one, for as long as it lives. */
export const CHAIN_DOCUMENTS_MAX = 128;
export const MEMBERS_MAX = 16;
export const DOCUMENT_BYTES_MAX = 8 * KiB;
/** The most that the documents of one bundle are in all, its members' included. */
export const BUNDLE_BYTES_MAX = 256 * KiB;
const KEYS_MAX = 16;
const ROTATION_KEYS_MAX = 8;
const SEALING_KEYS_MAX = 4;
const NAMES_MAX = 8;
const SERVICES_MAX = 8;

const rawKey = z.string().refine((text) => fromBase64(text)?.length === 32, 'not a 32-byte key');
const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'a-z, 0-9, dots and dashes, 63 at most');
const thresholdSchema = z.int().min(1).max(16);

/** The first form: keys that stay as they are for ever. */
export const plainDocumentSchema = z.strictObject({
  version: z.literal(1),
  name: nameSchema,
  signingKeys: z.array(rawKey).min(1).max(KEYS_MAX),
  threshold: thresholdSchema,
  sealingKey: rawKey,
});
export type PlainDocument = z.infer<typeof plainDocumentSchema>;

/** A machine that signs for somebody. */
export const deviceSchema = z.strictObject({
  name: labelSchema,
  signingKey: rawKey,
  sealingKey: rawKey,
});
export type Device = z.infer<typeof deviceSchema>;

/** Where somebody can be reached for something. */
export const serviceSchema = z.strictObject({
  name: labelSchema,
  url: z.url({ protocol: /^https?$/ }).max(200),
});

/**
 * One link of an identity: all that holds from here on, and the hash of the document before. Who
 * changes it signs with a rotation key that the document before names.
 */
export const linkDocumentSchema = z
  .strictObject({
    version: z.literal(2),
    /** The SHA-256 of the payload of the document before; `null` in the first. */
    previous: sha256Schema.nullable(),
    name: nameSchema,
    /** Ed25519, the highest rank first: a higher one undoes what a lower one signed. */
    rotationKeys: z.array(rawKey).min(1).max(ROTATION_KEYS_MAX),
    signingKeys: z.array(rawKey).max(KEYS_MAX),
    /** Each signs like a signing key, and opens what was sealed for what it asked. */
    deviceKeys: z.array(deviceSchema).max(KEYS_MAX),
    /** Of a team: the identities that sign for it, none of them a team; it has no other keys. */
    members: z.array(sha256Schema).max(MEMBERS_MAX),
    /** So many signing and device keys, or members, have to sign. */
    threshold: thresholdSchema,
    /** X25519, the newest first. */
    sealingKeys: z.array(rawKey).max(SEALING_KEYS_MAX),
    services: z.array(serviceSchema).max(SERVICES_MAX),
    /** Names that it goes by in the phone book. */
    names: z.array(nameSchema).max(NAMES_MAX),
  })
  .superRefine((document, context) => {
    for (const message of inconsistencies(document)) context.addIssue({ code: 'custom', message });
  });
export type LinkDocument = z.infer<typeof linkDocumentSchema>;

export const documentSchema = z.discriminatedUnion('version', [
  plainDocumentSchema,
  linkDocumentSchema,
]);

const chainSchema = z.array(envelopeSchema).min(1).max(CHAIN_DOCUMENTS_MAX);
const memberSchema = z.union([envelopeSchema, z.strictObject({ chain: chainSchema })]);
/** Everything that has to be read to know an identity: see `verifyIdentity`. */
export const bundleSchema = z.union([
  envelopeSchema,
  z.strictObject({
    chain: chainSchema,
    members: z.array(memberSchema).max(MEMBERS_MAX).optional(),
  }),
]);
/**
 * An identity as it travels. One that never changed is its document alone; another is the chain of
 * its documents, the first one first; a team brings its members' along, in its document's order.
 */
export type IdentityBundle = z.infer<typeof bundleSchema>;

/** The shortest bundle of a chain and, for a team, of its members. */
export function bundleOf(
  chain: readonly Envelope[],
  members: readonly IdentityBundle[] = [],
): IdentityBundle {
  const [only] = chain;
  if (members.length > 0) {
    const bare = members.map((member) => {
      const parts = partsOf(member);
      return parts.chain.length === 1 ? parts.chain[0] : { chain: parts.chain };
    });
    return bundleSchema.parse({ chain, members: bare });
  }
  return only !== undefined && chain.length === 1 ? only : { chain: [...chain] };
}

export type BundleParts = {
  readonly chain: readonly Envelope[];
  readonly members: readonly IdentityBundle[];
};

/** A bundle taken apart. */
export function partsOf(bundle: IdentityBundle): BundleParts {
  if (!('chain' in bundle)) return { chain: [bundle], members: [] };
  return { chain: bundle.chain, members: bundle.members ?? [] };
}

/** What a schema by shape can't say. */
function* inconsistencies(document: {
  readonly rotationKeys: readonly string[];
  readonly signingKeys: readonly string[];
  readonly deviceKeys: readonly Device[];
  readonly members: readonly string[];
  readonly threshold: number;
  readonly sealingKeys: readonly string[];
}): Generator<string> {
  const { rotationKeys, signingKeys, deviceKeys, members, threshold, sealingKeys } = document;
  const own = [...signingKeys, ...deviceKeys.map(({ signingKey }) => signingKey)];
  const isTeam = members.length > 0;
  if (isTeam && own.length + sealingKeys.length > 0) {
    yield 'a team has members and no keys beside its rotation keys';
  }
  if (!isTeam && (own.length === 0 || sealingKeys.length === 0)) {
    yield 'somebody who is no team needs a signing key and a sealing key';
  }
  if (threshold > (isTeam ? members.length : own.length)) {
    yield 'the threshold is higher than the keys or members are many';
  }
  const keys = [...rotationKeys, ...own];
  if (new Set(keys).size < keys.length) yield 'a key is in it twice';
  if (new Set(members).size < members.length) yield 'a member is in it twice';
  const names = deviceKeys.map(({ name }) => name);
  if (new Set(names).size < names.length) yield 'two devices have the same name';
}
