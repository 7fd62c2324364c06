import { utf8 } from '../../src/lib/bytes.ts';
import { writeCpio } from '../../src/lib/cpio.ts';
import type { BootMedia } from '../../src/artifact/spec.ts';
import type { IdentityBundle } from '../../src/identity/bundle.ts';
import type { Envelope } from '../../src/identity/envelope.ts';

/** What a farmer gives to the machines on a wire. */
export type Farm = {
  readonly grid: string;
  /** Where machines fetch the release from. */
  readonly mirrors: readonly string[];
  /** The farmer's identity document; none for nodes that wait to be approved. */
  readonly farmer: IdentityBundle | null;
  /** Single-use join tokens, handed out one to a machine. */
  readonly tokens: readonly Envelope[];
};

export type MediaPool = {
  /** The `farm.json` of a machine: the same for the same MAC address. */
  readonly jsonFor: (mac: string) => Uint8Array;
  /** The same as an archive that the kernel unpacks beside the first stage: `farm.cpio`. */
  readonly cpioFor: (mac: string) => Uint8Array;
  readonly handedOut: () => number;
};

/** Machines that a pool remembers; whoever is on the wire could make up more. */
const MACHINES_MAX = 4096;

/**
 * Boot media by machine. Whoever is on the wire can ask for tokens and use them up, or join with
 * one: a token says which farm a machine joins, never what it may do.
 */
export function openMediaPool(farm: Farm): MediaPool {
  const tokens = new Map<string, Envelope | null>();
  let handedOut = 0;
  const take = (mac: string): Envelope | null => {
    const before = tokens.get(mac);
    if (before !== undefined) return before;
    if (tokens.size >= MACHINES_MAX) return null;
    const token = farm.tokens[handedOut] ?? null;
    if (token !== null) handedOut += 1;
    tokens.set(mac, token);
    return token;
  };
  const jsonFor = (mac: string): Uint8Array => {
    const { grid, mirrors, farmer } = farm;
    const media: BootMedia = { grid, mirrors: [...mirrors], token: take(mac), farmer };
    return utf8(JSON.stringify(media));
  };
  return {
    handedOut: () => handedOut,
    jsonFor,
    cpioFor: (mac) => writeCpio([{ path: 'farm.json', kind: 'file', bytes: jsonFor(mac) }]),
  };
}

/** A MAC address in one spelling, or none: iPXE writes colons, people write dashes. */
export function parseMac(text: string): string | undefined {
  const mac = text.toLowerCase().replaceAll('-', ':');
  return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/u.test(mac) ? mac : undefined;
}
