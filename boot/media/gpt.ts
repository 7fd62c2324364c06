import { crc32 } from 'node:zlib';
import { concatBytes, fromHex } from '../../src/lib/bytes.ts';

/** All that is written here counts in these, also on sticks whose own are larger. */
export const SECTOR_BYTES = 512;

export const PARTITION_TYPES = {
  /** UEFI 2.10, section 5.3.3. */
  efiSystem: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  /** GRUB manual, "BIOS installation": holds its core image, and no file system. */
  biosBoot: '21686148-6449-6e6f-744e-656564454649',
} as const;

export type Partition = {
  readonly type: string;
  readonly id: string;
  /** At most 36 characters. */
  readonly name: string;
  readonly firstSector: number;
  readonly lengthSectors: number;
};

export type Disk = {
  readonly id: string;
  readonly lengthSectors: number;
  readonly partitions: readonly Partition[];
  /** What a BIOS starts: the first 440 bytes of the disk. */
  readonly bootCode: Uint8Array;
};

const ENTRY_BYTES = 128;
const ENTRIES = 128;
const ENTRIES_SECTORS = (ENTRY_BYTES * ENTRIES) / SECTOR_BYTES;
const HEADER_BYTES = 92;
const BOOT_CODE_BYTES = 440;

/**
 * The partition tables of a disk (UEFI 2.10, sections 5.2.3 and 5.3): what stands at its beginning,
 * with the boot code for a BIOS, and the copy at its end.
 */
export function partitionTables(disk: Disk): {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
} {
  const entries = concatBytes(
    ...disk.partitions.map((partition) => entryOf(partition)),
    new Uint8Array((ENTRIES - disk.partitions.length) * ENTRY_BYTES),
  );
  const last = disk.lengthSectors - 1;
  const primary = headerOf(disk, { entries, at: 1, other: last, entriesAt: 2 });
  const copyAt = last - ENTRIES_SECTORS;
  const backup = headerOf(disk, { entries, at: last, other: 1, entriesAt: copyAt });
  return {
    head: concatBytes(protectiveMbr(disk), primary, entries),
    tail: concatBytes(entries, backup),
  };
}

/** Sectors before the first and after the last partition that the tables take. */
export const TABLE_SECTORS = { head: 2 + ENTRIES_SECTORS, tail: 1 + ENTRIES_SECTORS } as const;

function protectiveMbr({ bootCode, lengthSectors }: Disk): Uint8Array {
  const sector = Buffer.alloc(SECTOR_BYTES);
  sector.set(bootCode.subarray(0, BOOT_CODE_BYTES));
  // One entry over the whole disk (table 5.4), so that no old tool takes it for empty.
  sector.set([0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff], 446);
  sector.writeUInt32LE(1, 454);
  sector.writeUInt32LE(Math.min(lengthSectors - 1, 0xffff_ffff), 458);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

type Header = {
  readonly entries: Uint8Array;
  readonly at: number;
  readonly other: number;
  readonly entriesAt: number;
};

function headerOf(disk: Disk, { entries, at, other, entriesAt }: Header): Uint8Array {
  const sector = Buffer.alloc(SECTOR_BYTES);
  sector.write('EFI PART', 'latin1');
  sector.writeUInt32LE(0x0001_0000, 8);
  sector.writeUInt32LE(HEADER_BYTES, 12);
  sector.writeBigUInt64LE(BigInt(at), 24);
  sector.writeBigUInt64LE(BigInt(other), 32);
  sector.writeBigUInt64LE(BigInt(TABLE_SECTORS.head), 40);
  sector.writeBigUInt64LE(BigInt(disk.lengthSectors - 1 - TABLE_SECTORS.tail), 48);
  sector.set(guidBytes(disk.id), 56);
  sector.writeBigUInt64LE(BigInt(entriesAt), 72);
  sector.writeUInt32LE(ENTRIES, 80);
  sector.writeUInt32LE(ENTRY_BYTES, 84);
  sector.writeUInt32LE(crc32(entries), 88);
  sector.writeUInt32LE(crc32(sector.subarray(0, HEADER_BYTES)), 16);
  return sector;
}

function entryOf({ type, id, name, firstSector, lengthSectors }: Partition): Uint8Array {
  const entry = Buffer.alloc(ENTRY_BYTES);
  entry.set(guidBytes(type), 0);
  entry.set(guidBytes(id), 16);
  entry.writeBigUInt64LE(BigInt(firstSector), 32);
  entry.writeBigUInt64LE(BigInt(firstSector + lengthSectors - 1), 40);
  entry.write(name, 56, 'utf16le');
  return entry;
}

/** The first three fields are little-endian, the rest is as written (UEFI 2.10, appendix A). */
function guidBytes(text: string): Uint8Array {
  const fields = text.split('-').map((field) => fromHex(field) ?? new Uint8Array());
  return concatBytes(...fields.map((field, index) => (index < 3 ? field.toReversed() : field)));
}
