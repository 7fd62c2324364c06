import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../../src/lib/bytes.ts';
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

const MAKE_RELEASE = 'make a release first (npm run image, then npm run release), or mirror one';
const targetsSchema = z.object({
  signed: z.object({
    targets: z.record(z.string(), z.object({ hashes: z.object({ sha256: z.string() }) })),
  }),
});

/**
 * The path of a file of the release, as it was signed: a kernel that was built after its release
 * was signed would be refused by every machine. Throws `BootError`.
 */
export async function partOf(release: Release, name: string): Promise<string> {
  const path = join(release.path, name);
  const metadata = await readFile(join(release.path, 'metadata/targets.json'), 'utf8').catch(
    () => '{}',
  );
  const parsed = targetsSchema.safeParse(JSON.parse(metadata));
  const expected = parsed.data?.signed.targets[name]?.hashes.sha256;
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined || expected === undefined) {
    throw new BootError('PART_MISSING', `There is no signed ${path}; ${MAKE_RELEASE}.`);
  }
  if (sha256Hex(bytes) === expected) return path;
  throw new BootError(
    'PART_MISSING',
    `${path} is not what its release was signed for; sign it with npm run release.`,
  );
}

/** A file that a firmware in setup mode takes, or its certificate. */
export async function keyFileOf({ keysPath }: Release, name: string): Promise<string> {
  const path = join(keysPath, 'secure-boot', name);
  if ((await stat(path).catch(() => undefined))?.isFile() === true) return path;
  throw new BootError(
    'PART_MISSING',
    `There is no ${path}; it is made with the release, by npm run image.`,
  );
}

/** What a BIOS' loader reads, below the folder that it looks in. */
export async function biosFiles(release: Release): Promise<FatFile[]> {
  const names = [...CHECKED];
  return Promise.all(
    names.map(async (name) => ({ from: await partOf(release, name), to: `/zos/${name}` })),
  );
}

/**
 * What UEFI reads: systemd-boot, which takes the keys of Secure Boot into a firmware that is ready
 * for it, and then starts the one unified kernel image, which it finds by its folder.
 */
export async function efiFiles(release: Release, loaderConf: string): Promise<FatFile[]> {
  const keys = ENROLMENT.map(async (name) => ({
    from: await keyFileOf(release, `${name}.auth`),
    to: `/loader/keys/auto/${name}.auth`,
  }));
  return [
    { from: await partOf(release, 'systemd-bootx64.efi'), to: '/EFI/BOOT/BOOTX64.EFI' },
    { from: await partOf(release, 'zos.efi'), to: '/EFI/Linux/zos.efi' },
    { from: loaderConf, to: '/loader/loader.conf' },
    ...(await Promise.all(keys)),
  ];
}
