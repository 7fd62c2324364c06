import { mkdir, readdir, rm } from 'node:fs/promises';
import { z } from 'zod';
import { readText, syncFolder, writeDurably } from '../host/files.ts';
import { idSchema } from '../identity/document.ts';
import { KiB } from '../lib/units.ts';
import { type VolumeDisk, volumeFolder, type VolumeLabel } from './plan.ts';
import { VOLUME_CLASSES, VOLUME_FORMATS } from './spec.ts';

/**
 * What is written down of volumes: one label each, a copy on every data disk, so that a volume
 * whose disk is gone is waited for and not made anew.
 *
 * Who can write here could as well write over the volumes themselves: they can make one be
 * forgotten or look whole when it is not. They can't read one, nor make a node open what it has no
 * key for.
 */
const labelSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}-[a-z0-9-]{1,32}$/),
  contract: idSchema,
  tenant: idSchema,
  class: z.enum(VOLUME_CLASSES),
  format: z.enum(VOLUME_FORMATS),
  disk: z.string().max(200),
  notAfterMs: z.int().positive(),
  isWhole: z.boolean(),
});

const LABEL_BYTES_MAX = 4 * KiB;
const LABEL_NAME = /^([0-9a-f]{16}-[a-z0-9-]{1,32})\.(?:json|luks)$/u;

/** The file of a volume on a disk. */
export function volumeFilePath(disk: VolumeDisk, id: string): string {
  return `${volumeFolder(disk)}/${id}.luks`;
}

/** The ids of every volume of which there is something on a disk; none where it can't be read. */
export async function listVolumeIds(disk: VolumeDisk): Promise<ReadonlySet<string>> {
  const names: string[] = await readdir(volumeFolder(disk)).catch(() => []);
  return new Set(names.flatMap((name) => LABEL_NAME.exec(name)?.[1] ?? []));
}

/** The label of a volume as it is on one disk, where it is there and can be read. */
export async function readLabel(disk: VolumeDisk, id: string): Promise<VolumeLabel | undefined> {
  try {
    const text = await readText(labelPath(disk, id), LABEL_BYTES_MAX);
    const label = labelSchema.parse(JSON.parse(text ?? ''));
    return label.id === id ? label : undefined;
  } catch {
    return undefined;
  }
}

/** Writes a label on its own disk, and on each other where that can be done. */
export async function writeLabel(disks: readonly VolumeDisk[], label: VolumeLabel): Promise<void> {
  await Promise.all(
    disks.map(async (disk) => {
      try {
        await mkdir(volumeFolder(disk), { recursive: true, mode: 0o700 });
        await writeDurably({ path: labelPath(disk, label.id), bytes: JSON.stringify(label) });
      } catch (error) {
        if (disk.serial === label.disk) throw error;
      }
    }),
  );
}

/** Takes a label off every disk. */
export async function dropLabel(disks: readonly VolumeDisk[], id: string): Promise<void> {
  await Promise.all(
    disks.map(async (disk) => {
      await rm(labelPath(disk, id), { force: true });
      await syncFolder(volumeFolder(disk)).catch(() => undefined);
    }),
  );
}

function labelPath(disk: VolumeDisk, id: string): string {
  return `${volumeFolder(disk)}/${id}.json`;
}
