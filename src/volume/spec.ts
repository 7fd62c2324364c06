import { z } from 'zod';
import { GiB, MiB } from '../lib/units.ts';
import { labelSchema } from '../lib/names.ts';

/** What a volume lies on: a solid-state disk or a rotating one. */
export const VOLUME_CLASSES = ['ssd', 'hdd'] as const;
export type VolumeClass = (typeof VOLUME_CLASSES)[number];

/** What a tenant finds in it: a file system, or, with `raw`, a block device as it is. */
export const VOLUME_FORMATS = ['ext4', 'xfs', 'btrfs', 'raw'] as const;
export type VolumeFormat = (typeof VOLUME_FORMATS)[number];

/** Below this its tools make none. */
export const VOLUME_BYTES_MIN: Readonly<Record<VolumeFormat, number>> = {
  ext4: 16 * MiB,
  xfs: 320 * MiB,
  // Shorter ones are made, and never grown by the kernel.
  btrfs: 256 * MiB,
  raw: MiB,
};
export const VOLUME_BYTES_MAX = 64 * 1024 * GiB;

/** What its encryption takes on top of its length. */
export const VOLUME_HEADER_BYTES = MiB;

/** Its key's length: as many bytes of chance. */
export const VOLUME_KEY_BYTES = 64;

/** Room on a disk that a tenant asks for; its key is in the contract's private body. */
export const volumeSchema = z
  .strictObject({
    kind: z.literal('volume'),
    name: labelSchema,
    class: z.enum(VOLUME_CLASSES),
    format: z.enum(VOLUME_FORMATS),
    /** How much can be written to it, what its file system needs included; whole MiB. */
    lengthBytes: z.int().min(MiB).max(VOLUME_BYTES_MAX).multipleOf(MiB),
  })
  .refine(({ format, lengthBytes }) => lengthBytes >= VOLUME_BYTES_MIN[format], {
    message: 'shorter than its format can be',
    path: ['lengthBytes'],
  });
export type Volume = z.infer<typeof volumeSchema>;

/** What a volume takes of its disk, by the names of what a contract reserves. */
export function volumeBytes(volume: Pick<Volume, 'class' | 'lengthBytes'>): {
  readonly ssdBytes: number;
  readonly hddBytes: number;
} {
  const takenBytes = volume.lengthBytes + VOLUME_HEADER_BYTES;
  const isSsd = volume.class === 'ssd';
  return { ssdBytes: isSsd ? takenBytes : 0, hddBytes: isSsd ? 0 : takenBytes };
}
