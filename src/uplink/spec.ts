import { z } from 'zod';
import { ZosError } from '../lib/errors.ts';
import { gridSchema } from '../identity/farm.ts';
import { idSchema } from '../identity/document.ts';

export class UplinkError extends ZosError<'SETTINGS_MALFORMED' | 'SETTINGS_FOREIGN'> {}

/** What no network needs more of, and a `farm.json` has room for. */
const UPLINKS_MAX = 8;
const CARDS_MAX = 8;
const ADDRESSES_MAX = 8;
const NAME_SERVERS_MAX = 3;

/** IPv6 asks for this much of every link (RFC 8200, section 5). */
const MTU_BYTES_MIN = 1280;
const MTU_BYTES_MAX = 9216;

const macSchema = z
  .string()
  .toLowerCase()
  .regex(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/u, 'a MAC address such as 52:54:00:12:34:56');

const ipSchema = z.union([z.ipv4(), z.ipv6().transform(canonical6)]);

const prefixedSchema = z
  .union([z.cidrv4(), z.cidrv6()])
  .transform((text) => {
    const [address = '', bits = ''] = text.split('/');
    return `${address.includes(':') ? canonical6(address) : address}/${Number(bits)}`;
  })
  .refine((text) => !text.endsWith('/0'), 'an address with the length of its network');

const uplinkSchema = z
  .strictObject({
    /** Cards by their own MAC address; several are bundled by LACP (IEEE 802.1AX). */
    macs: z.array(macSchema).min(1).max(CARDS_MAX),
    /** The number of a VLAN (IEEE 802.1Q). */
    vlan: z.int().min(1).max(4094).optional(),
    mtuBytes: z.int().min(MTU_BYTES_MIN).max(MTU_BYTES_MAX).optional(),
    /** DHCP and IPv6 announcements, or addresses with the length of their network. */
    addresses: z.union([z.literal('automatic'), z.array(prefixedSchema).min(1).max(ADDRESSES_MAX)]),
    /** The ways out of static addresses, one a family. */
    gateways: z.array(ipSchema).max(2).default([]),
  })
  .refine(({ macs }) => new Set(macs).size === macs.length, 'a card is named twice')
  .refine(
    ({ addresses, gateways }) => addresses !== 'automatic' || gateways.length === 0,
    'gateways go with static addresses; automatic ones come with their own',
  )
  .refine(
    ({ gateways }) => new Set(gateways.map(familyOf)).size === gateways.length,
    'one gateway a family',
  );

/** What of the settings a farmer writes; who signs them is put beside. */
export const uplinkSettingsSchema = z.strictObject({
  uplinks: z.array(uplinkSchema).max(UPLINKS_MAX).default([]).superRefine(checkCards),
  /** In the place of those that DHCP and routers name. */
  nameServers: z.array(ipSchema).max(NAME_SERVERS_MAX).default([]),
  /** An HTTP proxy that all requests go through; without a password, as many could read it. */
  proxy: z
    .url({ protocol: /^http$/u })
    .max(200)
    .refine((text) => !/[?#@]|\s/u.test(text), 'no query, fragment or password')
    .nullable()
    .default(null),
});

/** How the machines of a farm reach out, as its farmer signed it into their boot media. */
export const networkSchema = uplinkSettingsSchema.extend({ grid: gridSchema, farmer: idSchema });
export type NetworkSettings = z.infer<typeof networkSchema>;
export type UplinkSettings = z.infer<typeof uplinkSettingsSchema>;
export type Uplink = z.infer<typeof uplinkSchema>;

/** What goes without being said: every card by itself, and whatever it is told. */
export const AUTOMATIC: UplinkSettings = { uplinks: [], nameServers: [], proxy: null };

/** 4 or 6. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}

/** Two uplinks are on the same cards, and then in different VLANs, or on none in common. */
function checkCards(uplinks: readonly Uplink[], context: z.RefinementCtx): void {
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  for (const [at, one] of uplinks.entries()) {
    for (const other of uplinks.slice(0, at)) {
      const isSame = cardsOf(one) === cardsOf(other);
      if (isSame && one.vlan === other.vlan) refuse(`two uplinks on ${cardsOf(one)}`);
      const shared = one.macs.find((mac) => other.macs.includes(mac));
      if (!isSame && shared !== undefined) refuse(`${shared} is in two bundles`);
    }
  }
}

/** The same for the same cards, in whatever order they were written. */
export function cardsOf({ macs }: Pick<Uplink, 'macs'>): string {
  return macs.toSorted().join(' ');
}

/** An IPv6 address as the kernel prints it (RFC 5952). */
function canonical6(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
