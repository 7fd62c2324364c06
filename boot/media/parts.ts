import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FatFile } from '../../src/host/media/fat.ts';
import { BootError } from '../errors.ts';

/** Every file's time on every medium: what a file is, its signature tells. 2020-01-01, UTC. */
export const MEDIA_TIME_SECONDS = 1_577_836_800;

/** What GRUB reads, with the signature of each. */
const CHECKED = ['vmlinuz', 'vmlinuz.sig', 'initramfs.cpio', 'initramfs.cpio.sig'] as const;
const ENROLMENT = ['PK', 'KEK', 'db'] as const;

/**
 * Asks nobody and shows no menu. With a firmware in setup mode it takes the keys beside it, after a
 * countdown on the screen, and restarts; from then on firmware starts nothing but what db signed
 * (systemd-boot(7), loader.conf(5)).
 */
export const LOADER_CONF = 'timeout 0\neditor no\nauto-entries no\nsecure-boot-enroll force\n';

export type Release = {
  readonly path: string;
  /** Holds `secure-boot/`. */
  readonly keysPath: string;
};

/** Throws `BootError` with the first part that is missing. */
export async function partOf(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  if ((await stat(path).catch(() => undefined))?.isFile() === true) return path;
  throw new BootError(
    'PART_MISSING',
    `There is no ${path}; make a release first: npm run image, then npm run release.`,
  );
}

/** What a BIOS' loader reads, below the folder that it looks in. */
export async function biosFiles(release: Release): Promise<FatFile[]> {
  const names = [...CHECKED];
  return Promise.all(
    names.map(async (name) => ({ from: await partOf(release.path, name), to: `/zos/${name}` })),
  );
}

/**
 * What UEFI reads: systemd-boot, which takes the keys of Secure Boot into a firmware that is ready
 * for it, and then starts the one unified kernel image, which it finds by its folder.
 */
export async function efiFiles(release: Release, loaderConf: string): Promise<FatFile[]> {
  const keys = ENROLMENT.map(async (name) => ({
    from: await partOf(join(release.keysPath, 'secure-boot'), `${name}.auth`),
    to: `/loader/keys/auto/${name}.auth`,
  }));
  return [
    { from: await partOf(release.path, 'systemd-bootx64.efi'), to: '/EFI/BOOT/BOOTX64.EFI' },
    { from: await partOf(release.path, 'zos.efi'), to: '/EFI/Linux/zos.efi' },
    { from: loaderConf, to: '/loader/loader.conf' },
    ...(await Promise.all(keys)),
  ];
}
