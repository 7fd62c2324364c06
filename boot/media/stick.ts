import { open, readFile, rename, rm } from 'node:fs/promises';
import { MiB } from '../../src/lib/units.ts';
import { FARM_AREA } from '../../src/artifact/farm-area.ts';
import { copyToFat, type FatFile, makeFat } from '../../src/host/media/fat.ts';
import { fatBytesFor } from './fat-size.ts';
import { PARTITION_TYPES, partitionTables, SECTOR_BYTES, TABLE_SECTORS } from './gpt.ts';
import { placeLoader } from './grub.ts';

export type StickWish = {
  /** The image; it takes the place of an older one in one step. */
  readonly path: string;
  /** `zos-bios.img`. */
  readonly loaderPath: string;
  readonly files: readonly FatFile[];
  /** What `writeFarmArea` gave. */
  readonly farmArea: Uint8Array;
  /** Every file's time. */
  readonly timeSeconds: number;
  readonly say: (line: string) => void;
};

/** What GRUB's script looks for; `image/loader/script.ts` has it too. */
export const MEDIUM_LABEL = 'ZOS';

/** Two media of the same release and farm file are the same, so all of these are fixed. */
const IDS = {
  disk: '5a65726f-4f53-4000-8000-000000000001',
  bios: '5a65726f-4f53-4000-8000-000000000002',
  efi: '5a65726f-4f53-4000-8000-000000000003',
  serial: '5a4f5301',
} as const;

const CORE = { offsetBytes: MiB, lengthBytes: MiB } as const;
const FAT_OFFSET_BYTES = CORE.offsetBytes + CORE.lengthBytes;

/**
 * One image for a stick or a SATA module, on machines with UEFI and with a BIOS: the farm file's
 * area, GRUB in a partition of its own, and a FAT32 with everything that both of them load. Nothing
 * is written but the image: to a stick it goes by the farmer's own hand.
 */
export async function makeStick(wish: StickWish): Promise<void> {
  const fatBytes = await fatBytesFor(wish.files);
  const sectors = (bytes: number): number => bytes / SECTOR_BYTES;
  const lengthSectors = sectors(FAT_OFFSET_BYTES + fatBytes + MiB);
  const loader = placeLoader(await readFile(wish.loaderPath), sectors(CORE.offsetBytes));
  const tables = partitionTables({
    id: IDS.disk,
    lengthSectors,
    bootCode: loader.bootCode,
    partitions: [
      {
        type: PARTITION_TYPES.biosBoot,
        id: IDS.bios,
        name: 'zos-bios',
        firstSector: sectors(CORE.offsetBytes),
        lengthSectors: sectors(CORE.lengthBytes),
      },
      {
        type: PARTITION_TYPES.efiSystem,
        id: IDS.efi,
        name: 'zos-efi',
        firstSector: sectors(FAT_OFFSET_BYTES),
        lengthSectors: sectors(fatBytes),
      },
    ],
  });
  const part = `${wish.path}.part`;
  await rm(part, { force: true });
  {
    await using file = await open(part, 'wx', 0o600);
    await file.truncate(lengthSectors * SECTOR_BYTES);
    await file.write(tables.head, 0, tables.head.length, 0);
    await file.write(wish.farmArea, 0, wish.farmArea.length, FARM_AREA.offsetBytes);
    await file.write(loader.core, 0, loader.core.length, CORE.offsetBytes);
    const tailAt = (lengthSectors - TABLE_SECTORS.tail) * SECTOR_BYTES;
    await file.write(tables.tail, 0, tables.tail.length, tailAt);
  }
  const fat = { path: part, offsetBytes: FAT_OFFSET_BYTES };
  await makeFat({ ...fat, lengthBytes: fatBytes, label: MEDIUM_LABEL, serial: IDS.serial });
  wish.say(`copying ${wish.files.length} files`);
  await copyToFat(fat, wish.files, wish.timeSeconds);
  await rename(part, wish.path);
}
