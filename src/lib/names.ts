import { z } from 'zod';
import { GiB } from './units.ts';

/**
 * A name that can stand in a host name: a DNS label (RFC 1123 section 2.1), 32 characters at most.
 */
export const labelSchema = z
  .string()
  .regex(
    /^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/,
    'a letter, then letters, digits and dashes, 32 at most',
  );

/** SHA-256 in lower-case hex. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 in lower-case hex');

const FILE_BYTES_MAX = 4 * GiB;

/** A file named by all its bytes, and where it may be fetched: none trusted, each tried in turn. */
export const namedFileSchema = z.strictObject({
  sha256: sha256Schema,
  lengthBytes: z.int().min(1).max(FILE_BYTES_MAX),
  sources: z
    .array(z.url({ protocol: /^https?$/ }).max(500))
    .min(1)
    .max(8),
});
export type NamedFile = z.infer<typeof namedFileSchema>;
