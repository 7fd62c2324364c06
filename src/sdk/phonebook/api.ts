import { z } from 'zod';
import { bundleSchema } from '../../identity/bundle.ts';
import { envelopeSchema } from '../../identity/envelope.ts';
import { labelSchema, sha256Schema } from '../../lib/names.ts';
import { NAME_VERSIONS_MAX } from '../../phonebook/spec.ts';
import { pageQuery } from '../api.ts';

/** The longest letter there is, sealed, in base64. */
const SEALED_LENGTH_MAX = 180_000;
/** So many letters fit into one answer that is quick to read. */
const LETTERS_PER_PAGE_MAX = 32;

export const nameParams = z.strictObject({ name: labelSchema });
export const nameBody = z.strictObject({ claim: envelopeSchema, owner: bundleSchema });
export const namesQuery = pageQuery.extend({ owner: sha256Schema.optional() });
const nameSummary = z.object({ name: labelSchema, owner: sha256Schema, version: z.int() });
export type NameSummary = z.infer<typeof nameSummary>;
export const namesAnswer = z.object({ items: z.array(nameSummary), next: z.int().nullable() });

/** Every claim of a name, the first first; each has its place on the record. */
export const nameAnswer = z.object({
  name: labelSchema,
  claims: z
    .array(z.object({ claim: envelopeSchema, owner: bundleSchema }))
    .min(1)
    .max(NAME_VERSIONS_MAX),
});
export type NameAnswer = z.infer<typeof nameAnswer>;
/** The digest of the claim, by which its proof is asked for. */
export const claimAnswer = z.object({ digest: sha256Schema });

/** The sealed letter's SHA-256 stands in the path, so that the request's signature covers it. */
export const letterQuery = z.strictObject({ digest: sha256Schema });
export const letterBody = z.strictObject({
  sealed: z.base64().max(SEALED_LENGTH_MAX),
  /** The document of who sends; it is checked and not kept. */
  sender: bundleSchema,
});
export const mailboxQuery = pageQuery.extend({
  limit: z.coerce.number().int().min(1).max(LETTERS_PER_PAGE_MAX).default(LETTERS_PER_PAGE_MAX),
});
const waitingMessage = z.object({
  seq: z.int(),
  receivedMs: z.int(),
  sealed: z.base64().max(SEALED_LENGTH_MAX),
});
export type WaitingMessage = z.infer<typeof waitingMessage>;
export const mailboxAnswer = z.object({
  items: z.array(waitingMessage),
  next: z.int().nullable(),
});
/** Everything up to this is forgotten. */
export const readQuery = z.strictObject({
  upTo: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
});
export const nothingBody = z.strictObject({});
export const nothingAnswer = z.object({});
