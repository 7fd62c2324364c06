import { readFile } from 'node:fs/promises';
import { ZosError } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { run } from '../exec.ts';

export class DhcpError extends ZosError<'DHCP_NO_ANSWER'> {}

/** What a DHCP server (RFC 2131) told: no address of it is trusted for more than reaching out. */
export type Lease = {
  readonly link: string;
  readonly address: string;
  readonly router: string | undefined;
  readonly nameServers: readonly string[];
  /** Of NTP (RFC 2132 section 8.3). */
  readonly timeServers: readonly string[];
  readonly server: string | undefined;
  readonly lifetimeSeconds: number | undefined;
  /** What the server would have a machine boot (option 67): a name, or an address for HTTP. */
  readonly bootFile: string | undefined;
};

const LEASE_FOLDER = '/var/lib/dhcpcd';
const RUN_FOLDER = '/run/dhcpcd';

/**
 * IPv4 alone (the kernel does IPv6 by itself), no script, no settings file, no address of its own
 * making, and no wait of seconds to see whether somebody else has the address.
 */
const OPTIONS = [
  '-4 --nodev --noarp --noipv4ll --nodelay --config /dev/null --script=',
  '--option ntp_servers',
  '--option domain_name_servers --option classless_static_routes --option interface_mtu',
  '--option bootfile_name',
].flatMap((line) => line.split(' '));

/**
 * Asks as UEFI asks for HTTP boot (option 60; UEFI 2.10, section 24.7.3): whatever server sent the
 * firmware to its program sends us to the same place, with nothing to set up for it.
 */
const AS_FIRMWARE = ['--vendorclassid=HTTPClient:Arch:00016:UNDI:003000'];

type LinksWish = {
  readonly links: readonly string[];
  readonly signal?: AbortSignal;
};

/**
 * Asks on all links at once and returns the leases there are when the first one is there; the
 * addresses stay when the client ends. Throws `DhcpError` when nobody answers in time.
 */
export async function leaseOnce(
  wish: LinksWish & { readonly deadlineMs: number },
): Promise<Lease[]> {
  const seconds = Math.ceil(wish.deadlineMs / SECOND_MS);
  const failure = await run({
    file: 'dhcpcd',
    args: [
      ...OPTIONS,
      ...AS_FIRMWARE,
      '--oneshot',
      '--persistent',
      '--timeout',
      `${seconds}`,
      ...wish.links,
    ],
    deadlineMs: wish.deadlineMs + 5 * SECOND_MS,
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  }).then(
    () => undefined,
    (cause: unknown) => ({ cause }),
  );
  wish.signal?.throwIfAborted();
  const leases = await Promise.all(wish.links.map(readLease));
  const found = leases.filter((lease) => lease !== undefined);
  if (failure === undefined && found.length > 0) return found;
  throw new DhcpError(
    'DHCP_NO_ANSWER',
    `No DHCP server answered on ${wish.links.join(', ')}; check the cable and the server.`,
    { ...failure, facts: { links: wish.links } },
  );
}

/**
 * Makes sure that the client runs in the background and renews what it leased; it goes on when the
 * agent ends. Returns whether it had to be started.
 */
export async function keepLeases(wish: LinksWish): Promise<boolean> {
  if (await isKeepingLeases(wish.links)) return false;
  await run({
    file: 'dhcpcd',
    args: [...OPTIONS, '--background', '--persistent', ...wish.links],
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
  return true;
}

async function isKeepingLeases(links: readonly string[]): Promise<boolean> {
  return (await clientPid(links)) !== undefined;
}

/** One link has a pid file of its own; several share the one of the whole client. */
async function clientPid(links: readonly string[]): Promise<number | undefined> {
  const [only] = links;
  const file = links.length === 1 ? `${RUN_FOLDER}/${only}-4.pid` : `${RUN_FOLDER}/pid`;
  const pid = Number(await readFile(file, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const name = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return name.includes('dhcpcd') ? pid : undefined;
}

/** The latest lease of a link, if it ever had one. */
export async function readLease(link: string): Promise<Lease | undefined> {
  const bytes = await readFile(`${LEASE_FOLDER}/${link}.lease`).catch(() => undefined);
  return bytes === undefined ? undefined : parseLease(link, bytes);
}

const COOKIE_OFFSET = 236;
const COOKIE = 0x63825363;
const OPTION = {
  pad: 0,
  router: 3,
  nameServers: 6,
  timeServers: 42,
  lifetime: 51,
  overload: 52,
  server: 54,
  bootFile: 67,
  end: 255,
};
/** Where the boot file's name stood before there were options, and how long it may be. */
const FILE_OFFSET = 108;
const FILE_BYTES = 128;

/** Reads a DHCP message (RFC 2131 section 2, options as in RFC 2132); none when it is not one. */
export function parseLease(link: string, bytes: Uint8Array): Lease | undefined {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (message.length < COOKIE_OFFSET + 4) return undefined;
  if (message.readUInt32BE(COOKIE_OFFSET) !== COOKIE) return undefined;
  const options = optionsOf(message.subarray(COOKIE_OFFSET + 4));
  const lifetime = options.get(OPTION.lifetime);
  return {
    link,
    address: message.subarray(16, 20).join('.'),
    router: addressesOf(options.get(OPTION.router))[0],
    nameServers: addressesOf(options.get(OPTION.nameServers)),
    timeServers: addressesOf(options.get(OPTION.timeServers)),
    server: addressesOf(options.get(OPTION.server))[0],
    lifetimeSeconds: lifetime?.length === 4 ? lifetime.readUInt32BE() : undefined,
    bootFile: bootFileOf(message, options),
  };
}

/** As an option, or in the field of old, unless that holds options (RFC 2132, section 9.3). */
function bootFileOf(message: Buffer, options: ReadonlyMap<number, Buffer>): string | undefined {
  const option = options.get(OPTION.bootFile);
  const field = message.subarray(FILE_OFFSET, FILE_OFFSET + FILE_BYTES);
  const bytes = option ?? (options.has(OPTION.overload) ? Buffer.alloc(0) : field);
  const text = bytes.toString('latin1').replace(/\0.*$/su, '');
  return /^[!-~]+$/u.test(text) ? text : undefined;
}

function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length;) {
    const code = bytes[at] ?? OPTION.end;
    if (code === OPTION.end) break;
    if (code === OPTION.pad) {
      at += 1;
      continue;
    }
    const lengthBytes = bytes[at + 1] ?? 0;
    const value = bytes.subarray(at + 2, at + 2 + lengthBytes);
    if (value.length === lengthBytes) options.set(code, value);
    at += 2 + lengthBytes;
  }
  return options;
}

function addressesOf(value: Buffer | undefined): string[] {
  const bytes = value ?? Buffer.alloc(0);
  const count = Math.floor(bytes.length / 4);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * 4, i * 4 + 4).join('.'));
}
