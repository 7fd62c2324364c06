import { access, chown, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  readonly scriptUrl: string;
  /** For its leases; made here, and removed at the end. */
  readonly folder: string;
};

/** Starts dnsmasq with a folder of its own and answers when it serves; throws `BootError`. */
export async function openDhcp(wish: DhcpWish): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const { folder } = wish;
  await mkdir(folder, { mode: 0o700 });
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await chown(folder, DNSMASQ_USER_ID, DNSMASQ_USER_ID);
  const ready = Promise.withResolvers<void>();
  let last = '';
  const tftp = (await hasLoaders()) ? { tftpFolder: LOADERS_FOLDER } : {};
  const running = startDnsmasq({
    ...wish,
    boot: { scriptUrl: wish.scriptUrl, ...tftp },
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
  readonly scriptUrl: string;
  readonly onLine?: (line: string) => void;
}): Promise<AsyncDisposable> {
  const own = await addressOn(wish.interfaceName);
  const { onLine, scriptUrl } = wish;
  return openDhcp({
    link: wish.interfaceName,
    addresses: wish.isProxy ? { proxy: textOf(baseOf(own)) } : rangeOf(own, wish.interfaceName),
    scriptUrl,
    folder: join(tmpdir(), `zos-dhcp-${process.pid}-${wish.interfaceName}`),
    ...(onLine === undefined ? {} : { onLine }),
  });
}

async function hasLoaders(): Promise<boolean> {
  const paths = ['undionly.kpxe', 'snponly.efi'].map((name) => join(LOADERS_FOLDER, name));
  const found = await Promise.allSettled(paths.map((path) => access(path)));
  return found.every(({ status }) => status === 'fulfilled');
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
