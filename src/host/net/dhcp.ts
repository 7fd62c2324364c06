import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../exec.ts';

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
const PID_PATH = '/run/dhcpcd/pid';
/** Which links the client was started for: `PID LINK LINK`. */
const LINKS_PATH = '/run/dhcpcd-links';
const STOP_LOOKS = 50;
const STOP_LOOK_MS = 100;

/**
 * One client for IPv4 and IPv6, no script, no settings file, no address of its own making, and no
 * wait of seconds to see whether somebody else has the address. What it leased stays when it ends.
 */
const OPTIONS = [
  '--manager --background --persistent --nodev --noarp --noipv4ll --nodelay',
  '--config /dev/null --script=',
  '--option ntp_servers',
  '--option domain_name_servers --option classless_static_routes --option interface_mtu',
  '--option bootfile_name',
].flatMap((line) => line.split(' '));

/**
 * Asks as UEFI asks for HTTP boot (option 60; UEFI 2.10, section 24.7.3): whatever server sent the
 * firmware to its program sends us to the same place, with nothing to set up for it.
 */
const AS_FIRMWARE = '--vendorclassid=HTTPClient:Arch:00016:UNDI:003000';

export type LeaseWish = {
  readonly links: readonly string[];
  /** Whether to ask as the machine's firmware would. */
  readonly asFirmware?: boolean;
  readonly signal?: AbortSignal;
};

/**
 * Starts the client in the background for these links and no others, in the place of one that runs;
 * it leases and renews by itself, follows a cable that is pulled and put back, and goes on when
 * this program ends. Without links it is only ended. Returns before anybody answered.
 */
export async function keepLeases(wish: LeaseWish): Promise<void> {
  await stopClient();
  if (wish.links.length === 0) return;
  await run({
    file: 'dhcpcd',
    args: [...OPTIONS, ...(wish.asFirmware === true ? [AS_FIRMWARE] : []), ...wish.links],
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
  await writeFile(LINKS_PATH, [(await clientPid()) ?? 0, ...wish.links].join(' '));
}

/** The links that the running client works for; none when there is no client. */
export async function leasedLinks(): Promise<string[] | null> {
  const pid = await clientPid();
  if (pid === undefined) return null;
  const [of, ...links] = (await readFile(LINKS_PATH, 'utf8').catch(() => '')).split(' ');
  return of === `${pid}` ? links : [];
}

async function stopClient(): Promise<void> {
  const pid = await clientPid();
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  for (let look = 0; look < STOP_LOOKS; look += 1) {
    if ((await clientPid()) !== pid) return;
    await sleep(STOP_LOOK_MS);
  }
  process.kill(pid, 'SIGKILL');
}

async function clientPid(): Promise<number | undefined> {
  const pid = Number(await readFile(PID_PATH, 'utf8').catch(() => ''));
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const name = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return name.includes('dhcpcd') ? pid : undefined;
}

/** What the running client was told on a link, by DHCP, DHCPv6 and routers, in its own words. */
export async function readTold(link: string, signal?: AbortSignal): Promise<string> {
  const options = signal === undefined ? {} : { signal };
  return run({ file: 'dhcpcd', args: ['--dumplease', link], ...options }).catch(() => '');
}

/** Names of servers out of what the client was told: first DHCP's, then those of IPv6. */
const NAME_SERVERS = [
  /^domain_name_servers='?([^']*?)'?$/gmu,
  /^dhcp6_name_servers='?([^']*?)'?$/gmu,
  /^nd\d+_rdnss\d+_servers='?([^']*?)'?$/gmu,
];
const ADDRESS = /^[0-9a-f.:]{2,45}$/u;

/** The DNS servers that `told` names; those of this link alone say so (`fe80::1%eth0`). */
export function nameServersTold(link: string, told: string): string[] {
  const all = NAME_SERVERS.flatMap((pattern) =>
    [...told.matchAll(pattern)].flatMap(([, list = '']) => list.split(' ')),
  );
  const known = all.map((text) => text.toLowerCase()).filter((text) => ADDRESS.test(text));
  return [...new Set(known)].map((text) => (text.startsWith('fe80:') ? `${text}%${link}` : text));
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
