import { expect, test } from 'vitest';
import { type DiskState, faultOf } from '../../src/disk/faults.ts';
import { GiB } from '../../src/lib/units.ts';

const GOOD: DiskState = {
  disk: {
    path: '/run/zos/disks/S1',
    device: '/dev/sda',
    serial: 'S1',
    class: 'ssd',
    lengthBytes: GiB,
  },
  isThere: true,
  isReadOnly: false,
  errorCount: 0,
  freeBytes: GiB / 2,
  probe: 'written',
};

function said(changes: Partial<DiskState>): string {
  const fault = faultOf({ ...GOOD, ...changes });
  return fault === undefined
    ? ''
    : `${fault.code}${fault.isLost ? ' lost' : ''}: ${fault.sentence}`;
}

test('each state of a disk has its code, its sentence, and whether the node goes on without', () => {
  expect([
    said({}),
    said({ isThere: false }),
    said({ isReadOnly: true }),
    said({ isReadOnly: true, errorCount: 2 }),
    said({ probe: 'broken', errorCount: 1 }),
    said({ probe: 'read-only' }),
    said({ probe: 'broken' }),
    said({ probe: 'slow' }),
    said({ probe: 'full', freeBytes: 0 }),
    // Errors of long ago, on a disk that works, are no fault of now.
    said({ errorCount: 3 }),
  ]).toEqual([
    '',
    'DISK_GONE lost: disk S1 (/dev/sda) is gone; put it back and start the machine again, or ' +
      'replace it',
    'DISK_READ_ONLY lost: disk S1 (/dev/sda) became read-only; look at its cable, or replace it',
    'DISK_CORRUPT lost: disk S1 (/dev/sda) has 2 errors in its file system and takes no more ' +
      'writing; replace it',
    'DISK_CORRUPT lost: disk S1 (/dev/sda) has an error in its file system and takes no more ' +
      'writing; replace it',
    'DISK_READ_ONLY lost: disk S1 (/dev/sda) became read-only; look at its cable, or replace it',
    'DISK_CORRUPT lost: disk S1 (/dev/sda) takes no more writing; replace it',
    'DISK_SLOW: disk S1 (/dev/sda) did not take a small file within 10 s',
    'DISK_FULL: disk S1 (/dev/sda) is full: 0 B of 1.0 GiB are free; end a contract, or add a disk',
    '',
  ]);
});
