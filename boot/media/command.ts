import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { formatBytes } from '../../src/lib/units.ts';
import { writeFarmArea } from '../../src/artifact/farm-area.ts';
import { BootError } from '../errors.ts';
import { answer, type Surroundings } from '../surroundings.ts';
import { makeDiscImage } from './disc.ts';
import { type FarmWish, signFarmFile } from './farm.ts';
import { makePxeFolder, makeUefiFolder } from './folder.ts';
import { biosFiles, efiFiles, LOADER_CONF, MEDIA_TIME_SECONDS, partOf } from './parts.ts';
import type { Release } from './parts.ts';
import { makeStick } from './stick.ts';

const FORMATS = ['usb', 'iso', 'pxe', 'uefi'] as const;
type Format = (typeof FORMATS)[number];

type Options = {
  readonly farm?: string;
  readonly format: Format;
  readonly out: string;
  readonly mirrors: readonly string[];
  readonly valid: string;
  readonly takeBlankDisks?: true;
  readonly network?: string;
  readonly release?: string;
};

const HELP = `
Formats:
  usb   one image for a stick or SATA module: UEFI (takes the Secure Boot keys by itself where the
        firmware is in setup mode) and BIOS (a loader that starts nothing unsigned)
  iso   the same for a disc, or the virtual drive of a management board
  pxe   a folder for your own TFTP, PXE or iPXE server, with what to set in DHCP
  uefi  a folder for UEFI HTTP boot, with the keys to enrol, and how

Each holds one join token of your farm, signed now: one machine can join with it, once. It says so
on its screen. Whoever reads the token can use it for another machine, so keep it like a key.

Examples:
  zos boot media --farm barn --format usb --mirrors http://192.0.2.1:8081 --out barn.img
  sudo dd if=barn.img of=/dev/sdX bs=4M oflag=direct status=progress    # sdX: see lsblk
  zos boot media --farm barn --format pxe --mirrors http://192.0.2.1:8081 --out /srv/tftp/zos

This command writes to --out and nowhere else, never to a device.`;

/** `zos boot media`: makes what a farmer needs to boot a machine into a farm. */
export function addMedia(program: Command, around: () => Surroundings): void {
  program
    .command('media')
    .description('make a stick, a disc, or files for a boot server, for one machine of a farm')
    .option('--farm <name>', 'which farm, when you have several')
    .addOption(new Option('--format <format>', 'see below').choices(FORMATS).makeOptionMandatory())
    .requiredOption('--out <path>', 'the image or folder to make; an older one is replaced')
    .requiredOption('--mirrors <url...>', 'where the node fetches its release from, tried in turn')
    .option('--valid <time>', 'how long the join token can be used', '30d')
    .option('--take-blank-disks', 'let the node use disks that are wholly blank, and no others')
    .option('--network <file>', 'how the machine reaches the network; see `zos farm token --help`')
    .option('--release <dir>', 'the release to boot, or a mirror of it (dist/release)')
    .addHelpText('after', HELP)
    .action((options: Options) => makeMedia(around(), options));
}

async function makeMedia(around: Surroundings, options: Options): Promise<void> {
  const path = resolve(options.out);
  await checkOut(path, options.format);
  const dist = join(around.root, 'dist');
  const releasePath = resolve(options.release ?? join(dist, 'release'));
  const release: Release = { path: releasePath, keysPath: join(dist, 'keys') };
  const say = (line: string): void => around.err(`zos boot: ${line}\n`);
  const folder = await mkdtemp(join(tmpdir(), 'zos-media-'));
  try {
    // Everything that can be missing is found before a token is signed.
    const make = await prepare({ path, release, folder, say, format: options.format });
    await make(await signFarmFile(around, wishOf(options)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const { size } = await stat(path);
  const told = { format: options.format, path };
  const isImage = options.format === 'usb' || options.format === 'iso';
  const what = isImage ? `${path}, ${formatBytes(size)}` : path;
  const value = isImage ? { ...told, lengthBytes: size } : told;
  answer(around, value, `${what}\n\n${NEXT[options.format](path)}\n`);
}

function wishOf({ farm, mirrors, valid, takeBlankDisks, network }: Options): FarmWish {
  const common = { farm, mirrors, valid, takesBlankDisks: takeBlankDisks === true };
  return network === undefined ? common : { ...common, network: resolve(network) };
}

/** Whatever is there has to be what this command makes: never a device, never somebody's folder. */
async function checkOut(path: string, format: Format): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  const isImage = format === 'usb' || format === 'iso';
  if (found !== undefined && !found.isFile() && isImage) {
    throw new BootError(
      'USAGE',
      `${path} is no file; name an image to make, and write that to it.`,
    );
  }
  if (found === undefined || isImage) return;
  const readme = await stat(join(path, 'README.txt')).catch(() => undefined);
  const farm = await stat(join(path, 'farm.json')).catch(() => undefined);
  if (!found.isDirectory() || readme === undefined || farm === undefined) {
    throw new BootError('USAGE', `${path} is there and was not made by this; name another place.`);
  }
}

type Making = {
  readonly path: string;
  readonly release: Release;
  readonly folder: string;
  readonly say: (line: string) => void;
  readonly format: Format;
};

type Make = (farmFile: Uint8Array) => Promise<void>;

async function prepare({ format, ...making }: Making): Promise<Make> {
  const { path, release, folder, say } = making;
  if (format === 'pxe') return (farmFile) => makePxeFolder({ path, release, farmFile, say });
  if (format === 'uefi') return (farmFile) => makeUefiFolder({ path, release, farmFile, say });
  const loaderConf = join(folder, 'loader.conf');
  await writeFile(loaderConf, LOADER_CONF);
  const bios = await biosFiles(release);
  const efi = await efiFiles(release, loaderConf);
  const common = { path, say, timeSeconds: MEDIA_TIME_SECONDS };
  if (format === 'usb') {
    const loaderPath = await partOf(release, 'zos-bios.img');
    const files = [...efi, ...bios];
    return (farmFile) =>
      makeStick({ ...common, loaderPath, files, farmArea: writeFarmArea(farmFile) });
  }
  const loaderPath = await partOf(release, 'zos-bios.cd');
  const files = { biosFiles: bios, efiFiles: efi };
  return (farmFile) =>
    makeDiscImage({ ...common, ...files, folder, loaderPath, farmArea: writeFarmArea(farmFile) });
}

const NEXT: Readonly<Record<Format, (path: string) => string>> = {
  usb: (path) => `Next: write it to a stick (all that is on it is lost), and boot a machine from it:
  lsblk                                  # which one is the stick: say sdX
  sudo dd if=${path} of=/dev/sdX bs=4M oflag=direct status=progress
A BIOS starts it as a hard disk. On UEFI, put the firmware into setup mode first (delete its Secure
Boot keys): it then takes ours from the stick after a countdown, and restarts with Secure Boot on.`,
  iso: (path) => `Next: give ${path} to the management board as virtual CD, or burn it, and
start a machine from it. On UEFI, put the firmware into setup mode first (delete its Secure Boot
keys): it then takes ours from the disc after a countdown, and restarts with Secure Boot on.`,
  pxe: (path) => `Next: what to set in DHCP is in ${join(path, 'README.txt')}.`,
  uefi: (path) => `Next: keys and DHCP are explained in ${join(path, 'README.txt')}.`,
};
