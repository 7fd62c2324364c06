import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { KiB } from '../../src/lib/units.ts';
import { FARM_AREA } from '../../src/artifact/farm-area.ts';
import { copyToFat, type FatFile, makeFat } from '../../src/host/media/fat.ts';
import { makeDisc } from '../../src/host/media/xorriso.ts';
import { fatBytesFor } from './fat-size.ts';
import { PARTITION_TYPES, partitionTables, SECTOR_BYTES, TABLE_SECTORS } from './gpt.ts';
import { placeOnDisc } from './grub.ts';
import { MEDIUM_LABEL } from './stick.ts';

export type DiscWish = {
  /** The image; it takes the place of an older one in one step. */
  readonly path: string;
  /** For what is made on the way there. */
  readonly folder: string;
  /** `zos-bios.cd`. */
  readonly loaderPath: string;
  /** What GRUB reads from the disc. */
  readonly biosFiles: readonly FatFile[];
  /** What UEFI reads from the FAT on the disc. */
  readonly efiFiles: readonly FatFile[];
  readonly farmArea: Uint8Array;
  readonly timeSeconds: number;
  readonly say: (line: string) => void;
};

const IDS = {
  disk: '5a65726f-4f53-4000-8000-000000000011',
  efi: '5a65726f-4f53-4000-8000-000000000013',
  serial: '5a4f5311',
} as const;

const BLOCK_BYTES = 2 * KiB;
const BIOS_PATH = '/zos/bios.img';
const EFI_PATH = '/efi.img';

/**
 * One image for a disc, a drive that a management board plays, or a stick that it is copied to: an
 * ISO 9660 with El Torito entries for both kinds of firmware, and a partition table over it that
 * shows UEFI's part to whoever takes it for a disk.
 */
export async function makeDiscImage(wish: DiscWish): Promise<void> {
  const efi = `${wish.folder}/efi.img`;
  const bios = `${wish.folder}/bios.img`;
  const loader = await readFile(wish.loaderPath);
  await writeFile(bios, loader.subarray(SECTOR_BYTES));
  const efiBytes = await fatBytesFor(wish.efiFiles);
  await makeEmpty(efi, efiBytes);
  const fat = { path: efi, offsetBytes: 0 };
  await makeFat({ ...fat, lengthBytes: efiBytes, label: MEDIUM_LABEL, serial: IDS.serial });
  wish.say(`copying ${wish.efiFiles.length} files for UEFI`);
  await copyToFat(fat, wish.efiFiles, wish.timeSeconds);
  wish.say('writing the disc');
  const part = `${wish.path}.part`;
  await rm(part, { force: true });
  const { biosFiles, timeSeconds } = wish;
  const files = [...biosFiles, { from: bios, to: BIOS_PATH }, { from: efi, to: EFI_PATH }];
  const places = await makeDisc({
    path: part,
    label: MEDIUM_LABEL,
    boot: { bios: BIOS_PATH, efi: EFI_PATH },
    files,
    timeSeconds,
  });
  await addTables(part, { efiBytes, efiBlock: places.efi, loader, biosBlock: places.bios, wish });
  await rename(part, wish.path);
}

type Layout = {
  readonly efiBytes: number;
  readonly efiBlock: number;
  readonly biosBlock: number;
  readonly loader: Uint8Array;
  readonly wish: DiscWish;
};

/** Into the 32 KiB at the beginning that ISO 9660 does not use, and behind its end. */
async function addTables(path: string, layout: Layout): Promise<void> {
  const { size } = await stat(path);
  const perBlock = BLOCK_BYTES / SECTOR_BYTES;
  const lengthBlocks = Math.ceil((size + TABLE_SECTORS.tail * SECTOR_BYTES) / BLOCK_BYTES);
  const lengthSectors = lengthBlocks * perBlock;
  const tables = partitionTables({
    id: IDS.disk,
    lengthSectors,
    bootCode: placeOnDisc(layout.loader, layout.biosBlock * perBlock),
    partitions: [
      {
        type: PARTITION_TYPES.efiSystem,
        id: IDS.efi,
        name: 'zos-efi',
        firstSector: layout.efiBlock * perBlock,
        lengthSectors: layout.efiBytes / SECTOR_BYTES,
      },
    ],
  });
  const { farmArea } = layout.wish;
  await using file = await open(path, 'r+');
  await file.chmod(0o600);
  await file.truncate(lengthSectors * SECTOR_BYTES);
  await file.write(tables.head, 0, tables.head.length, 0);
  await file.write(farmArea, 0, farmArea.length, FARM_AREA.offsetBytes);
  const tailAt = (lengthSectors - TABLE_SECTORS.tail) * SECTOR_BYTES;
  await file.write(tables.tail, 0, tables.tail.length, tailAt);
}

async function makeEmpty(path: string, lengthBytes: number): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.truncate(lengthBytes);
}
