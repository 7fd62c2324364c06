import { z } from 'zod';
import { GiB } from '../lib/units.ts';
import { idSchema } from '../identity/document.ts';

export const IMAGE_BYTES_MAX = 4 * GiB;

/** A root file system: one EROFS file, named by the SHA-256 and the length of all its bytes. */
export const imageSchema = z.strictObject({
  sha256: idSchema,
  lengthBytes: z.int().min(4096).max(IMAGE_BYTES_MAX),
  /** Where it may be fetched; none is trusted, each is tried in turn. */
  sources: z
    .array(z.url({ protocol: /^https?$/ }).max(500))
    .min(1)
    .max(8),
});
export type Image = z.infer<typeof imageSchema>;
