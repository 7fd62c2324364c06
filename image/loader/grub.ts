import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Loader } from '../../src/artifact/command-line.ts';
import { concatBytes, sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import { writeCpio } from '../../src/lib/cpio.ts';
import { ImageError } from '../errors.ts';
import { makeOnce } from '../parts/phase.ts';
import { type Folders, runPinned } from '../parts/pinned-tools.ts';
import { loaderScript } from './script.ts';

/**
 * GRUB for machines with a BIOS: its modules, its script and the one key whose signatures it takes
 * (`check_signatures` is `enforce` where a key is embedded) in one file.
 */
type LoaderImage = {
  readonly name: string;
  readonly loader: Loader;
  /** GRUB's word for how the firmware loads it. */
  readonly format: string;
  /** What it is started by: a sector that is patched with its place when a medium is made. */
  readonly sector?: string;
  readonly modules: readonly string[];
};

const CHECKS = words('pgp gcry_rsa gcry_sha1 gcry_sha256');
const SCRIPT = words('memdisk newc normal echo test sleep reboot linux');
const DISK = words('biosdisk part_gpt part_msdos search search_label');
const NETWORK = words('pxe net tftp regexp');

/** Where they are put in a release, one for each way that a BIOS loads something. */
export const LOADER_IMAGES: readonly LoaderImage[] = [
  {
    name: 'zos-bios.img',
    loader: 'local',
    format: 'i386-pc',
    sector: 'boot.img',
    modules: [...DISK, 'fat'],
  },
  {
    name: 'zos-bios.cd',
    loader: 'local',
    format: 'i386-pc-eltorito',
    sector: 'boot_hybrid.img',
    modules: [...DISK, 'iso9660'],
  },
  { name: 'zos-bios.pxe', loader: 'network', format: 'i386-pc-pxe', modules: NETWORK },
];

const GRUB_PACKAGE = 'grub-pc-bin';
const MODULES_FOLDER = 'usr/lib/grub/i386-pc';
const SECTOR_BYTES = 512;

export type LoadersWish = {
  readonly folders: Folders;
  /** `loader.pub`: made before the first image is. */
  readonly publicKeyPath: string;
  readonly work: string;
};

/** Makes the loaders in `work`, each once for its inputs; the paths they are at. */
export async function makeLoaders(wish: LoadersWish): Promise<string[]> {
  const publicKey = await readFile(wish.publicKeyPath).catch((cause: unknown) => {
    const next = 'make the keys that sign releases first: npm run release -- --keys';
    throw new ImageError('FILE_MISSING', `There is no ${wish.publicKeyPath}; ${next}.`, { cause });
  });
  const paths: string[] = [];
  for (const image of LOADER_IMAGES) {
    const script = loaderScript(image.loader);
    const inputs = utf8(JSON.stringify([image, script, wish.folders.get(GRUB_PACKAGE)]));
    paths.push(
      await makeOnce({
        path: join(wish.work, image.name),
        key: sha256Hex(inputs, new Uint8Array(publicKey)),
        make: (part) => makeLoader(wish, { image, script, part }),
      }),
    );
  }
  return paths;
}

type Parts = { readonly image: LoaderImage; readonly script: string; readonly part: string };

async function makeLoader(wish: LoadersWish, { image, script, part }: Parts): Promise<void> {
  const folder = join(wish.folders.get(GRUB_PACKAGE) ?? '', MODULES_FOLDER);
  const memdisk = `${part}.memdisk`;
  await writeFile(memdisk, writeCpio(memdiskOf(script)));
  const core = `${part}.core`;
  await runPinned({
    folders: wish.folders,
    package: 'grub-common',
    path: 'usr/bin/grub-mkimage',
    args: [
      ['-d', folder, '-O', image.format, '-o', core, '-p', '(memdisk)/boot/grub'],
      ['-m', memdisk, '-k', wish.publicKeyPath, ...CHECKS, ...SCRIPT],
      image.modules,
    ].flat(),
  });
  await rm(memdisk);
  if (image.sector !== undefined) {
    const sector = await readFile(join(folder, image.sector));
    if (sector.length !== SECTOR_BYTES) {
      throw new ImageError(
        'FILE_MISSING',
        `${image.sector} of GRUB is no sector; see its version.`,
      );
    }
    await writeFile(core, concatBytes(sector, await readFile(core)));
  }
  await rename(core, part);
}

/** Where GRUB looks for its script. */
function memdiskOf(script: string): Parameters<typeof writeCpio>[0] {
  return [
    { path: 'boot', kind: 'folder' },
    { path: 'boot/grub', kind: 'folder' },
    { path: 'boot/grub/grub.cfg', kind: 'file', bytes: utf8(script) },
  ];
}

function words(text: string): readonly string[] {
  return text.split(' ');
}
