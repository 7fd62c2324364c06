import { z } from 'zod';
import { idSchema } from '../identity/document.ts';
import { gridSchema } from '../identity/farm.ts';
import { labelSchema, sha256Schema } from '../lib/names.ts';
import { KiB } from '../lib/units.ts';

/** A name may change hands so often; the whole way of a name travels with every answer. */
export const NAME_VERSIONS_MAX = 64;

/** What an identity says of a name in the phone book: that it holds it, or gives it up. */
export const claimSchema = z.strictObject({
  grid: gridSchema,
  name: labelSchema,
  owner: idSchema,
  version: z.int().min(1).max(NAME_VERSIONS_MAX),
  /** The digest of the claim before it, of whoever held the name then; `null` for the first. */
  previous: sha256Schema.nullable(),
  state: z.enum(['held', 'released']),
});
export type Claim = z.infer<typeof claimSchema>;

export const MESSAGE_TEXT_BYTES_MAX = 64 * KiB;

/** What one identity writes to another, signed before it is sealed. */
export const messageSchema = z.strictObject({
  grid: gridSchema,
  from: idSchema,
  to: idSchema,
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  atMs: z.int().positive(),
  text: z.string().max(MESSAGE_TEXT_BYTES_MAX),
});
export type Message = z.infer<typeof messageSchema>;
