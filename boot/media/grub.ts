import { concatBytes } from '../../src/lib/bytes.ts';
import { BootError } from '../errors.ts';
import { SECTOR_BYTES } from './gpt.ts';

export type PlacedLoader = {
  /** For the disk's first sector. */
  readonly bootCode: Uint8Array;
  /** For the place that it was placed at. */
  readonly core: Uint8Array;
};

// Where GRUB 2 keeps what an installer writes (its include/grub/i386/pc/boot.h).
const CORE_SECTOR_AT = 0x5c;
const DRIVE_CHECK_AT = 0x66;
const BLOCK_LIST_AT = SECTOR_BYTES - 12;
const TWO_NOPS = [0x90, 0x90];

/**
 * What `zos-bios.img` becomes on a disk: its first sector finds the rest at a sector by its number,
 * which is written into both here, as GRUB's own installer does. Throws `BootError`.
 */
export function placeLoader(image: Uint8Array, firstSector: number): PlacedLoader {
  const first = Buffer.from(image.subarray(0, SECTOR_BYTES));
  const rest = Buffer.from(image.subarray(SECTOR_BYTES));
  if (rest.length < 2 * SECTOR_BYTES || first.readUInt16LE(510) !== 0xaa55) {
    throw new BootError('PART_MISSING', 'zos-bios.img is damaged; run npm run image again.');
  }
  first.writeBigUInt64LE(BigInt(firstSector), CORE_SECTOR_AT);
  // A BIOS that starts a stick as another drive than it says is worked around on disks.
  first.set(TWO_NOPS, DRIVE_CHECK_AT);
  const sectors = Math.ceil(rest.length / SECTOR_BYTES);
  rest.writeBigUInt64LE(BigInt(firstSector + 1), BLOCK_LIST_AT);
  rest.writeUInt16LE(sectors - 1, BLOCK_LIST_AT + 8);
  const padding = new Uint8Array(sectors * SECTOR_BYTES - rest.length);
  return { bootCode: first, core: concatBytes(rest, padding) };
}

/** Where GRUB 2's boot_hybrid.img keeps the place of what it starts. */
const DISC_CORE_AT = 0x1b0;
/** It skips cdboot.img, the first block of 2048 bytes, which only a disc drive needs. */
const CDBOOT_SECTORS = 4;

/** The same for `zos-bios.cd` on a disc that somebody copied to a disk: its boot code. */
export function placeOnDisc(image: Uint8Array, firstSector: number): Uint8Array {
  const first = Buffer.from(image.subarray(0, SECTOR_BYTES));
  first.writeBigUInt64LE(BigInt(firstSector + CDBOOT_SECTORS), DISC_CORE_AT);
  return first;
}
