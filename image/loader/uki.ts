import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONSOLES, KERNEL_ARGUMENTS } from '../../src/artifact/command-line.ts';
import { utf8 } from '../../src/lib/bytes.ts';
import { addSections, withoutSignatures } from '../../src/lib/pe.ts';
import type { Pins } from '../debian/pins.ts';
import type { Folders } from '../parts/pinned-tools.ts';

/** Where Debian's package `systemd-boot-efi` has what UEFI starts. */
const EFI_FOLDER = 'usr/lib/systemd/boot/efi';

export type UkiWish = {
  readonly folders: Folders;
  readonly kernel: Pins['kernel'];
  /** The release's version, for people who look into the file. */
  readonly version: string;
  readonly initramfsPath: string;
  /** Gets `vmlinuz`, `zos.efi` and `systemd-bootx64.efi`, none of them signed. */
  readonly folder: string;
};

/**
 * What firmware starts, in the state before signing, which is the same at every build: the kernel
 * without Debian's signature; the unified kernel image (UAPI.5), which is systemd's stub with
 * kernel, first stage and command line as sections of one file under one signature; and the boot
 * loader that can bring our keys into a firmware in setup mode.
 */
export async function makeUki(wish: UkiWish): Promise<void> {
  const { folders, kernel, version, folder } = wish;
  const efi = join(folders.get('systemd-boot-efi') ?? '', EFI_FOLDER);
  const name = `boot/vmlinuz-${kernel.release}`;
  const linux = withoutSignatures(await readFile(join(folders.get(kernel.package) ?? '', name)));
  const commandLine = [...KERNEL_ARGUMENTS, ...CONSOLES].join(' ');
  const release = `ID=zero-os\nPRETTY_NAME="Zero-OS ${version}"\nVERSION_ID=${version}\n`;
  const uki = addSections(await readFile(join(efi, 'linuxx64.efi.stub')), [
    { name: '.osrel', bytes: utf8(release) },
    { name: '.cmdline', bytes: utf8(commandLine) },
    { name: '.uname', bytes: utf8(kernel.release) },
    { name: '.initrd', bytes: await readFile(wish.initramfsPath) },
    { name: '.linux', bytes: linux },
  ]);
  await writeFile(join(folder, 'vmlinuz'), linux);
  await writeFile(join(folder, 'zos.efi'), uki);
  const loader = await readFile(join(efi, 'systemd-bootx64.efi'));
  await writeFile(join(folder, 'systemd-bootx64.efi'), loader);
}
