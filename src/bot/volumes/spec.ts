import { z } from 'zod';
import { mountPathSchema } from '../../container/spec.ts';
import { labelSchema } from '../../lib/names.ts';
import { formatBytes, MiB } from '../../lib/units.ts';
import {
  VOLUME_BYTES_MAX,
  VOLUME_BYTES_MIN,
  VOLUME_CLASSES,
  VOLUME_FORMATS,
  type VolumeClass,
  type VolumeFormat,
} from '../../volume/spec.ts';
import { parseSize, SIZE_PATTERN } from '../deployment/units.ts';

/** A volume as people write it in a deployment file. */
export const volumeFileSchema = z.strictObject({
  size: z
    .string()
    .regex(SIZE_PATTERN, 'write a size such as 512MiB or 10GiB')
    .refine((text) => lengthOf(text) <= VOLUME_BYTES_MAX, { message: 'longer than any can be' })
    .describe('How much can be written to it, its file system included; whole MiB. It can grow.'),
  class: z.enum(VOLUME_CLASSES).optional().describe('What it lies on; `ssd` unless said.'),
  format: z
    .enum(VOLUME_FORMATS)
    .optional()
    .describe('Its file system, or `raw` for a block device as it is; `ext4` unless said.'),
});
type VolumeFile = z.infer<typeof volumeFileSchema>;

/** The volumes of a deployment, by name. */
export const volumesFileSchema = z
  .record(labelSchema, volumeFileSchema)
  .optional()
  .describe('Encrypted disks that outlive a restart; each belongs to one container.');

/** Where a container finds volumes, by name. */
export const volumeMountsFileSchema = z
  .record(labelSchema, mountPathSchema)
  .optional()
  .describe('Where it finds its volumes, by name: a folder, or for a raw one a name in /dev.');

/** A volume of a container, with everything decided that the file may leave out. */
export type VolumeWish = {
  readonly name: string;
  readonly path: string;
  readonly class: VolumeClass;
  readonly format: VolumeFormat;
  readonly lengthBytes: number;
};

type Volumes = Readonly<Record<string, VolumeFile>>;
type Mounts = Readonly<Record<string, string>>;

/** The volumes that a container names. */
export function volumesOf(mounts: Mounts = {}, volumes: Volumes = {}): VolumeWish[] {
  return Object.entries(mounts).flatMap(([name, path]) => {
    const volume = volumes[name];
    if (volume === undefined) return [];
    const { class: on = 'ssd', format = 'ext4', size } = volume;
    return [{ name, path, class: on, format, lengthBytes: lengthOf(size) }];
  });
}

type Contradiction = { readonly path: (string | number)[]; readonly message: string };

/** What a schema by shape can't say of volumes. */
export function* volumeContradictions(file: {
  readonly volumes?: Volumes | undefined;
  readonly containers: Readonly<Record<string, { readonly volumes?: Mounts | undefined }>>;
}): Generator<Contradiction> {
  const volumes = file.volumes ?? {};
  const users = new Map<string, string>();
  for (const [container, { volumes: mounts = {} }] of Object.entries(file.containers)) {
    for (const [name, path] of Object.entries(mounts)) {
      const at = ['containers', container, 'volumes', name];
      const volume = volumes[name];
      const user = users.get(name);
      users.set(name, container);
      if (volume === undefined) {
        yield { path: at, message: `there is no "${name}" under volumes; add it there` };
      } else if (user !== undefined) {
        yield { path: at, message: `container ${user} has it already; give each its own` };
      } else if ((volume.format === 'raw') !== /^\/dev\/[^/]+$/u.test(path)) {
        const message = 'a raw one is at /dev/NAME, any other at a folder that is not in /dev';
        yield { path: at, message };
      }
    }
  }
  for (const [name, { size, format = 'ext4' }] of Object.entries(volumes)) {
    const least = VOLUME_BYTES_MIN[format];
    if (!users.has(name)) yield { path: ['volumes', name], message: 'no container uses it' };
    if (lengthOf(size) >= least) continue;
    const message = `${format} needs ${formatBytes(least)} at least`;
    yield { path: ['volumes', name, 'size'], message };
  }
}

/** Whole MiB, no more than was written. */
function lengthOf(text: string): number {
  return Math.floor((parseSize(text) ?? 0) / MiB) * MiB;
}
