import { z } from 'zod';
import { MiB } from '../lib/units.ts';
import type { DiskClass, OpenDisk, SeenDisk } from './plan.ts';

/** The most disks that a node tells of. */
export const DISKS_TOLD_MAX = 32;

/** What a node says of one disk of the machine. */
export const diskStatusSchema = z.strictObject({
  device: z.string().max(64),
  /** Empty for a disk without one. */
  serial: z.string().max(64),
  model: z.string().max(80),
  lengthBytes: z.int().min(0),
  /** Of a data disk: what it was measured to be; `null` for one that is not used. */
  class: z.enum(['ssd', 'hdd']).nullable(),
  /** Of a data disk, to the next MiB. */
  freeBytes: z.int().min(0).nullable(),
  /** Why it is not used; empty for a data disk. */
  because: z.string().max(200),
  health: z.strictObject({
    state: z.enum(['good', 'failing', 'unknown']),
    because: z.string().max(200),
    hoursOn: z.int().min(0).optional(),
    celsius: z.int().optional(),
    wornPercent: z.int().min(0).optional(),
  }),
});
export type DiskStatus = z.infer<typeof diskStatusSchema>;

export type KnownDisk = {
  readonly disk: SeenDisk;
  /** Where it is a data disk. */
  readonly open: OpenDisk | undefined;
  readonly freeBytes: number;
  readonly because: string;
  readonly health: DiskStatus['health'];
};

/** What there is to say of every disk; pure. */
export function statusOfDisks(disks: readonly KnownDisk[]): DiskStatus[] {
  return disks.slice(0, DISKS_TOLD_MAX).map(({ disk, open, freeBytes, because, health }) => {
    const kind: DiskClass | null = open?.class ?? null;
    return {
      device: disk.path.slice(0, 64),
      serial: disk.serial.slice(0, 64),
      model: disk.model.replaceAll(/[^ -~]/gu, '').slice(0, 80),
      lengthBytes: disk.lengthBytes,
      class: kind,
      freeBytes: kind === null ? null : Math.floor(freeBytes / MiB) * MiB,
      because: kind === null ? because.slice(0, 200) : '',
      health: { ...health, because: health.because.slice(0, 200) },
    };
  });
}
