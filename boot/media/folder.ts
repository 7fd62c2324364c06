import { X509Certificate } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CONSOLES, KERNEL_ARGUMENTS } from '../../src/artifact/command-line.ts';
import { writeCpio } from '../../src/lib/cpio.ts';
import { biosFiles, keyFileOf, partOf, type Release } from './parts.ts';

export type FolderWish = {
  /** It takes the place of an older one. */
  readonly path: string;
  readonly release: Release;
  readonly farmFile: Uint8Array;
  readonly say: (line: string) => void;
};

const KEY_NAMES = ['PK', 'KEK', 'db'] as const;

/** For a TFTP or HTTP server that is there: GRUB for a BIOS, and the same for iPXE. */
export async function makePxeFolder({ path, release, ...wish }: FolderWish): Promise<void> {
  const farm = writeCpio([{ path: 'farm.json', kind: 'file', bytes: wish.farmFile }]);
  const files = await biosFiles(release);
  const loader = await partOf(release, 'zos-bios.pxe');
  await replace(path, async (part) => {
    wish.say('copying kernel and first stage');
    for (const { from, to } of files) await copyFile(from, join(part, to.slice('/zos/'.length)));
    await copyFile(loader, join(part, 'zos-bios.pxe'));
    await writeFile(join(part, 'boot.ipxe'), ipxeScript());
    await writeFile(join(part, 'farm.cpio'), farm);
    await writeFile(join(part, 'farm.json'), wish.farmFile);
    await writeFile(join(part, 'README.txt'), PXE_README);
  });
}

/** For UEFI's own HTTP boot: the one file that it starts, and the keys that it checks it by. */
export async function makeUefiFolder({ path, release, ...wish }: FolderWish): Promise<void> {
  const kernel = await partOf(release, 'zos.efi');
  await replace(path, async (part) => {
    wish.say('copying the unified kernel image');
    await copyFile(kernel, join(part, 'zos.efi'));
    await writeFile(join(part, 'farm.json'), wish.farmFile);
    await mkdir(join(part, 'keys'));
    for (const name of KEY_NAMES) {
      await copyFile(await keyFileOf(release, `${name}.auth`), join(part, 'keys', `${name}.auth`));
      const certificate = new X509Certificate(
        await readFile(await keyFileOf(release, `${name}.crt`)),
      );
      await writeFile(join(part, 'keys', `${name}.der`), certificate.raw);
    }
    await writeFile(join(part, 'README.txt'), UEFI_README);
  });
}

/** Everything is made in a folder beside it, which takes its name at the end. */
async function replace(path: string, fill: (part: string) => Promise<void>): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true });
  await mkdir(part);
  await fill(part);
  await rm(path, { recursive: true, force: true });
  await rename(part, path);
}

/** Its addresses are relative: it works from whatever folder of whatever server. */
function ipxeScript(): string {
  const options = [...KERNEL_ARGUMENTS, ...CONSOLES].join(' ');
  return `#!ipxe
kernel vmlinuz initrd=initramfs.cpio initrd=farm.cpio ${options} || goto failed
initrd --name initramfs.cpio initramfs.cpio || goto failed
initrd --name farm.cpio farm.cpio || goto failed
boot || goto failed
:failed
echo Could not be fetched, restarts in 10 seconds
sleep 10
reboot
`;
}

const TOKEN_NOTE = `ONE MACHINE
  This folder carries one join token: the machine that uses it first joins the farm, and no other
  can. Make a folder for each machine, or serve a whole rack with \`zos boot mirror\` or
  \`npm start -- --interface NAME --no-vm\`, which hand out a token to each.
  Whoever reads the token can join another machine to your farm with it, and no more.
`;

const PXE_README = `Zero-OS, for a PXE or iPXE server that you have

Put this folder below your server's root, for example as zos/ (letters, digits, dot, dash only).

A BIOS, WITH THE LOADER THAT CHECKS (recommended): boot file zos/zos-bios.pxe, by TFTP
  It starts kernel and first stage only with a good signature of the release's key. The step before
  it, from the card's ROM to zos-bios.pxe, nobody can check: nodes that boot so are "unverified".
  dnsmasq
    enable-tftp
    tftp-root=/srv/tftp
    dhcp-match=set:bios,option:client-arch,0
    dhcp-boot=tag:bios,zos/zos-bios.pxe
  ISC dhcpd
    option arch code 93 = unsigned integer 16;
    next-server 192.0.2.1;
    if option arch = 00:00 { filename "zos/zos-bios.pxe"; }
  The started system asks by DHCP as UEFI does for HTTP boot (option 60 "HTTPClient"), and fetches
  the farm.json beside the address that it gets: serve this folder by HTTP too, and answer
  dnsmasq
    dhcp-vendorclass=set:http,HTTPClient
    dhcp-option-force=tag:http,60,HTTPClient
    dhcp-boot=tag:http,http://192.0.2.1/zos/farm.json
  ISC dhcpd
    class "http" {
      match if substring (option vendor-class-identifier, 0, 10) = "HTTPClient";
      option vendor-class-identifier "HTTPClient";
      filename "http://192.0.2.1/zos/farm.json";
    }

iPXE, BIOS OR UEFI: script zos/boot.ipxe, by HTTP or TFTP
  It checks nothing: the node finds out by itself what it fetches after that.
  dnsmasq
    dhcp-userclass=set:ipxe,iPXE
    dhcp-boot=tag:ipxe,http://192.0.2.1/zos/boot.ipxe
  ISC dhcpd
    if exists user-class and option user-class = "iPXE" {
      filename "http://192.0.2.1/zos/boot.ipxe";
    }

Machines with UEFI boot better by HTTP with Secure Boot: zos boot media --format uefi

${TOKEN_NOTE}`;

const UEFI_README = `Zero-OS, for UEFI HTTP boot with Secure Boot

1. Serve this folder by HTTP, for example as http://192.0.2.1/zos/

2. Tell machines by DHCP where it is: option 60 "HTTPClient", option 67 the address of zos.efi
  dnsmasq
    dhcp-vendorclass=set:http,HTTPClient
    dhcp-option-force=tag:http,60,HTTPClient
    dhcp-boot=tag:http,http://192.0.2.1/zos/zos.efi
  ISC dhcpd
    class "http" {
      match if substring (option vendor-class-identifier, 0, 10) = "HTTPClient";
      option vendor-class-identifier "HTTPClient";
      filename "http://192.0.2.1/zos/zos.efi";
    }
  The started system asks in the same way and reads the farm.json beside zos.efi.

3. Take the keys into each machine's firmware, once:
  a. Firmware setup > Secure Boot > delete all keys ("setup mode", "reset to setup mode").
  b. Enrol, in this order: db from keys/db.der, KEK from keys/KEK.der, PK from keys/PK.der.
     Firmware that asks for signed variables takes keys/*.auth instead.
  c. Secure Boot on, boot mode UEFI only, and set a password for the setup.
  Easier: start the machine once from a stick made with zos boot media --format usb while it is in
  setup mode; it takes the keys by itself.

4. Boot order: HTTP boot (IPv4) first, and nothing else.

From then on the firmware starts nothing but what your release's db key signed. A node that also has
a TPM 2.0 proves it to anybody: its class is "attested".

${TOKEN_NOTE}`;
