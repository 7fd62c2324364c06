import nacl from 'tweetnacl';
import { ZosError } from '../../lib/errors.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import { run } from '../exec.ts';
import { withSecretFile } from '../files.ts';
import { insideNamespace } from './ip.ts';

export class WgError extends ZosError<'WG_OUTPUT_UNKNOWN'> {}

/** A peer as the kernel has it. */
export type WgPeer = {
  /** X25519, base64. */
  readonly publicKey: string;
  /** `1.2.3.4:5` or `[fd00::1]:5`; none while it is not known. */
  readonly endpoint: string | undefined;
  readonly allowedIps: readonly string[];
  /** Since the last handshake; none if there never was one. */
  readonly handshakeAgeMs: number | undefined;
  readonly keepaliveSeconds: number | undefined;
};

export type WgInterface = {
  /** None until it has a private key. */
  readonly publicKey: string | undefined;
  /** None until it is up, when the kernel chooses one. */
  readonly port: number | undefined;
  readonly peers: readonly WgPeer[];
};

export type WgPeerChange =
  | {
      readonly publicKey: string;
      readonly endpoint: string | undefined;
      readonly allowedIps: readonly string[];
      readonly keepaliveSeconds: number;
    }
  | { readonly publicKey: string; readonly remove: true };

/** Memory, not disk. */
const SECRET_FOLDER = '/run/zos/secrets';

export type WgWish = {
  readonly netns: string;
  readonly link: string;
  readonly signal?: AbortSignal;
};

/**
 * Makes a private key and gives it to the kernel, with peers in the same call; it is in no
 * argument, no named file and no answer, and this process forgets it at once. `showInterface`
 * tells the public half.
 */
export async function setNewKey(
  wish: WgWish & { readonly secretFolder?: string },
  peers: readonly WgPeerChange[] = [],
): Promise<void> {
  const pair = nacl.box.keyPair();
  const secret = base64Bytes(pair.secretKey);
  pair.secretKey.fill(0);
  await withSecretFile({ folder: wish.secretFolder ?? SECRET_FOLDER, secret }, async (file) => {
    const args = ['wg', 'set', wish.link, 'private-key', '/proc/self/fd/0'];
    await wg(wish, [...args, ...peers.flatMap(argumentsOf)], { fd: file.fd });
  });
}

/** Adds, changes and removes peers, all in one call to the kernel's tool. */
export async function changePeers(wish: WgWish, changes: readonly WgPeerChange[]): Promise<void> {
  if (changes.length === 0) return;
  await wg(wish, ['wg', 'set', wish.link, ...changes.flatMap(argumentsOf)]);
}

/** What `wg set` is told of a peer. */
export function argumentsOf(change: WgPeerChange): string[] {
  if ('remove' in change) return ['peer', change.publicKey, 'remove'];
  const { publicKey, endpoint, allowedIps, keepaliveSeconds } = change;
  const args = ['peer', publicKey];
  if (endpoint !== undefined) args.push('endpoint', endpoint);
  args.push('persistent-keepalive', `${keepaliveSeconds}`, 'allowed-ips', allowedIps.join(','));
  return args;
}

/** What the kernel has, the private key left out: of all ways to ask, this one hides it. */
export async function showInterface(wish: WgWish): Promise<WgInterface> {
  return parseShow(await wg(wish, ['wg', 'show', wish.link]));
}

/**
 * Reads what `wg show LINK` prints for people. The forms for programs either print the private key
 * or take a process for each column. Throws `WgError`.
 */
export function parseShow(output: string): WgInterface {
  const [head, ...peers] = output.split(/\n(?=peer: )/u);
  const own = fieldsOf(head ?? '');
  if (!own.has('interface')) {
    throw new WgError('WG_OUTPUT_UNKNOWN', 'wg printed what this version can not read.');
  }
  const port = Number(own.get('listening port'));
  return {
    publicKey: own.get('public key'),
    port: Number.isInteger(port) && port > 0 ? port : undefined,
    peers: peers.map(peerOf),
  };
}

function peerOf(text: string): WgPeer {
  const fields = fieldsOf(text);
  const allowed = fields.get('allowed ips') ?? '(none)';
  return {
    publicKey: fields.get('peer') ?? '',
    endpoint: fields.get('endpoint'),
    allowedIps: allowed === '(none)' ? [] : allowed.split(', '),
    handshakeAgeMs: ageOf(fields.get('latest handshake')),
    keepaliveSeconds: secondsOf(fields.get('persistent keepalive')),
  };
}

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf(': ');
    if (at > 0) fields.set(line.slice(0, at).trim(), line.slice(at + 2).trim());
  }
  return fields;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  year: 365 * DAY_MS,
  day: DAY_MS,
  hour: HOUR_MS,
  minute: MINUTE_MS,
  second: SECOND_MS,
};

/** `1 minute, 5 seconds ago`, `Now`. */
function ageOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return [...text.matchAll(/(\d+) (year|day|hour|minute|second)/gu)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS_MS[unit ?? ''] ?? 0),
    0,
  );
}

/** `every 25 seconds`, `every 1 minute, 5 seconds`. */
function secondsOf(text: string | undefined): number | undefined {
  const age = ageOf(text);
  return age === undefined ? undefined : age / SECOND_MS;
}

/** Runs inside the namespace, where the interface lives. */
async function wg(
  { netns, signal }: WgWish,
  args: readonly string[],
  stdin?: { readonly fd: number },
): Promise<string> {
  return run({
    file: 'ip',
    args: insideNamespace(netns, args),
    // Whatever the caller's wishes are, keys stay hidden.
    env: { WG_HIDE_KEYS: 'always', WG_COLOR_MODE: 'never' },
    ...(stdin === undefined ? {} : { stdin }),
    ...(signal === undefined ? {} : { signal }),
  });
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 of a key as bytes that can be wiped; a string would stay until it is collected. */
export function base64Bytes(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(61);
  for (let at = 0, to = 0; at < bytes.length; at += 3, to += 4) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const word = (a << 16) | (b << 8) | c;
    const digits = Math.min(bytes.length - at, 3) + 1;
    for (let i = 0; i < digits; i += 1) {
      out[to + i] = ALPHABET.charCodeAt((word >>> (18 - 6 * i)) & 63);
    }
  }
  return out;
}
