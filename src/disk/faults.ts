import { formatBytes, MiB } from '../lib/units.ts';
import type { OpenDisk } from './plan.ts';

/** How a small file could be written on a disk, now. */
export type Probe = 'written' | 'full' | 'read-only' | 'broken' | 'slow';

/** A data disk as it is now. */
export type DiskState = {
  readonly disk: OpenDisk;
  /** Whether the kernel still has the device. */
  readonly isThere: boolean;
  /** The kernel lets nobody write to it any more. */
  readonly isReadOnly: boolean;
  /** Errors that the kernel found in its file system, ever. */
  readonly errorCount: number;
  readonly freeBytes: number;
  readonly probe: Probe;
};

export type DiskFault = {
  readonly code: 'DISK_GONE' | 'DISK_READ_ONLY' | 'DISK_CORRUPT' | 'DISK_FULL' | 'DISK_SLOW';
  readonly sentence: string;
  /** Nothing more can be kept on it: the node goes on without it. */
  readonly isLost: boolean;
};

/** Below this a disk counts as full: what is written next may not fit. */
export const FULL_BYTES = 32 * MiB;

/** What is wrong with a data disk, in one sentence that says what to do; pure. */
export function faultOf(state: DiskState): DiskFault | undefined {
  const { disk, isThere, isReadOnly, errorCount, freeBytes, probe } = state;
  const name = `disk ${disk.serial === '' ? disk.device : disk.serial} (${disk.device})`;
  const lost = (code: DiskFault['code'], what: string): DiskFault => ({
    code,
    sentence: `${name} ${what}`,
    isLost: true,
  });
  if (!isThere) {
    return lost('DISK_GONE', 'is gone; put it back and start the machine again, or replace it');
  }
  const isShut = isReadOnly || probe === 'read-only' || probe === 'broken';
  // After errors the kernel lets nobody write, whether it calls that read-only or not.
  if (isShut && errorCount > 0) {
    const times = errorCount === 1 ? 'an error' : `${errorCount} errors`;
    return lost(
      'DISK_CORRUPT',
      `has ${times} in its file system and takes no more writing; replace it`,
    );
  }
  if (isReadOnly || probe === 'read-only') {
    return lost('DISK_READ_ONLY', 'became read-only; look at its cable, or replace it');
  }
  if (probe === 'broken') return lost('DISK_CORRUPT', 'takes no more writing; replace it');
  const kept = (code: DiskFault['code'], what: string): DiskFault => ({
    ...lost(code, what),
    isLost: false,
  });
  if (probe === 'slow') return kept('DISK_SLOW', 'did not take a small file within 10 s');
  if (probe === 'full' || freeBytes < FULL_BYTES) {
    const left = `${formatBytes(freeBytes)} of ${formatBytes(disk.lengthBytes)}`;
    return kept('DISK_FULL', `is full: ${left} are free; end a contract, or add a disk`);
  }
  return undefined;
}
