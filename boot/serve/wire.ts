import { access, chmod, chown, constants, copyFile, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { SECOND_MS } from '../../src/lib/units.ts';
import { DNSMASQ_USER_ID, type DnsmasqWish, startDnsmasq } from '../../src/host/lab/dnsmasq.ts';
import { type Address, type Link, listLinks } from '../../src/host/net/ip.ts';
import { BootError } from '../errors.ts';

/** Where Debian's package `ipxe` puts the boot programs for firmware that has no iPXE. */
const LOADERS_FOLDER = '/usr/lib/ipxe';
const READY_DEADLINE_MS = 10 * SECOND_MS;
/** Smaller networks have no room for addresses to give away. */
const PREFIX_BITS_MAX = 28;
const LEASES_MAX = 200;

/** A network card of this machine with servers behind it. */
export type Wire = {
  /** This machine's address there; servers listen here. */
  readonly address: string;
  readonly subnet: string;
};

/** Finds the address of this machine on a card; throws `BootError`. */
export async function findWire(interfaceName: string): Promise<Wire> {
  const { address, prefixBits } = await addressOn(interfaceName);
  return { address, subnet: `${textOf(baseOf({ address, prefixBits }))}/${prefixBits}` };
}

export type DhcpWish = Pick<DnsmasqWish, 'netns' | 'onLine'> & {
  readonly link: string;
  readonly addresses: DnsmasqWish['addresses'];
  /** For its leases and what it serves; made here, and removed at the end. */
  readonly folder: string;
} & FirstPrograms;

/** What firmware is sent to. */
export type FirstPrograms = {
  /** For iPXE. */
  readonly scriptUrl: string;
  /** The unified kernel image, for UEFI over HTTP. */
  readonly efiUrl?: string;
  /** The same as a file, for UEFI over TFTP; iPXE without, which Secure Boot refuses. */
  readonly efiPath?: string;
  /** A release whose loader a BIOS is sent to over TFTP, with what that loads; iPXE without. */
  readonly biosFolder?: string;
  /** Machines whose firmware has iPXE in it and is treated as if it had not. */
  readonly plainMacs?: readonly string[];
};

/** The loader comes first; the others lie beside it, each with its signature. */
const BIOS_FILES: readonly string[] = [
  'zos-bios.pxe',
  'vmlinuz',
  'vmlinuz.sig',
  'initramfs.cpio',
  'initramfs.cpio.sig',
];

/** Starts dnsmasq with a folder of its own and answers when it serves; throws `BootError`. */
export async function openDhcp(wish: DhcpWish): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { folder } = wish;
  await mkdir(folder, { mode: 0o700 });
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await chown(folder, DNSMASQ_USER_ID, DNSMASQ_USER_ID);
  const ready = Promise.withResolvers<void>();
  let last = '';
  const { scriptUrl, efiUrl, plainMacs } = wish;
  const tftp = await layLoaders(wish);
  const running = startDnsmasq({
    ...wish,
    boot: {
      scriptUrl,
      ...(efiUrl === undefined ? {} : { efiUrl }),
      ...(tftp === undefined ? {} : { tftp }),
      ...(plainMacs === undefined ? {} : { plainMacs }),
    },
    onLine: (line) => {
      last = line;
      if (line.includes('started')) ready.resolve();
      wish.onLine?.(line);
    },
  });
  stack.use(running);
  const late = AbortSignal.timeout(READY_DEADLINE_MS);
  late.addEventListener('abort', () => ready.reject(new Error('It did not start in time.')));
  void running.ended.then(() => ready.reject(new Error(last)));
  await ready.promise.catch((cause: unknown) => {
    throw new BootError('PROGRAM_FAILED', `dnsmasq does not run on ${wish.link}: ${last}`, {
      cause,
    });
  });
  const open = stack.move();
  return { [Symbol.asyncDispose]: () => open.disposeAsync() };
}

/**
 * DHCP for real servers on a card of this machine: addresses from the upper half of its network,
 * or,
 * beside a DHCP server that is there already, only the answer where to boot from. Throws
 * `BootError`.
 */
export async function openWireDhcp(wish: {
  readonly interfaceName: string;
  readonly isProxy: boolean;
  readonly programs: FirstPrograms;
  readonly onLine?: (line: string) => void;
}): Promise<AsyncDisposable> {
  const own = await addressOn(wish.interfaceName);
  const { onLine, programs } = wish;
  return openDhcp({
    ...programs,
    link: wish.interfaceName,
    addresses: wish.isProxy ? { proxy: textOf(baseOf(own)) } : rangeOf(own, wish.interfaceName),
    folder: join(tmpdir(), `zos-dhcp-${process.pid}-${wish.interfaceName}`),
    ...(onLine === undefined ? {} : { onLine }),
  });
}

/** Its user may read nothing of ours, so what it serves lies beside its leases. */
async function layLoaders(wish: DhcpWish): Promise<NonNullable<DnsmasqWish['boot']>['tftp']> {
  const { folder, addresses } = wish;
  // Beside another DHCP server nobody tells the machine its farm but iPXE's script.
  const isProxy = 'proxy' in addresses;
  const [efiPath, biosFolder] = isProxy ? [] : [wish.efiPath, wish.biosFolder];
  const bios =
    biosFolder === undefined
      ? [join(LOADERS_FOLDER, 'undionly.kpxe')]
      : BIOS_FILES.map((name) => join(biosFolder, name));
  const efi = efiPath ?? join(LOADERS_FOLDER, 'snponly.efi');
  const paths = [...bios, efi];
  const found = await Promise.allSettled(paths.map((path) => access(path)));
  if (!found.every(({ status }) => status === 'fulfilled')) return undefined;
  const served = join(folder, 'tftp');
  await mkdir(served, { mode: 0o755 });
  for (const path of paths) {
    const copy = join(served, basename(path));
    await copyFile(path, copy, constants.COPYFILE_FICLONE);
    await chmod(copy, 0o644);
  }
  return { folder: served, bios: basename(bios[0] ?? ''), efi: basename(efi) };
}

async function addressOn(interfaceName: string): Promise<Address> {
  const links = await listLinks();
  const link = links.find(({ name }) => name === interfaceName);
  if (link === undefined) {
    const names = links.filter((other) => !other.isLoopback).map(({ name }) => name);
    throw new BootError(
      'LINK_MISSING',
      `There is no network card ${interfaceName}; there are ${names.join(', ')}.`,
    );
  }
  const address = firstIpv4(link);
  if (address !== undefined && link.isUp) return address;
  throw new BootError(
    'LINK_MISSING',
    `${interfaceName} is down or has no IPv4 address; give it one, such as: ` +
      `ip address add 10.0.0.1/24 dev ${interfaceName} && ip link set ${interfaceName} up`,
  );
}

function firstIpv4({ addresses }: Link): Address | undefined {
  return addresses.find(({ address }) => /^[\d.]+$/u.test(address));
}

function rangeOf(own: Address, interfaceName: string): { from: string; to: string } {
  if (own.prefixBits > PREFIX_BITS_MAX) {
    throw new BootError(
      'LINK_MISSING',
      `The network of ${interfaceName} is too small to give addresses away; use a ` +
        `/${PREFIX_BITS_MAX} or larger, or --proxy-dhcp beside another DHCP server.`,
    );
  }
  const sizeAddresses = 2 ** (32 - own.prefixBits);
  const from = baseOf(own) + sizeAddresses / 2;
  const to = Math.min(from + LEASES_MAX, baseOf(own) + sizeAddresses - 2);
  return { from: textOf(from), to: textOf(to) };
}

function baseOf({ address, prefixBits }: Address): number {
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const sizeAddresses = 2 ** (32 - prefixBits);
  return number - (number % sizeAddresses);
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.');
}
