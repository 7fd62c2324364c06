import type { Link } from '../host/net/ip.ts';
import { cardsOf, type Uplink, type UplinkSettings } from './spec.ts';

/** What one link is to be. */
export type WantedLink = {
  readonly name: string;
  /** Cards in it; none for what is no bundle. */
  readonly members: readonly string[] | null;
  readonly vlan: { readonly on: string; readonly id: number } | null;
  readonly mtuBytes: number | null;
  /** Nothing of its own, as what lies on it has it; or as the settings say. */
  readonly addresses: Uplink['addresses'] | null;
  readonly gateways: readonly string[];
};

export type Layout = {
  readonly links: readonly WantedLink[];
  /** Cards that settings name and this machine does not have. */
  readonly missing: readonly string[];
};

/** A network card: no loopback, and nothing that was built on another link. */
export function isCard({ isLoopback, kind }: Pick<Link, 'isLoopback' | 'kind'>): boolean {
  return !isLoopback && kind === undefined;
}

/** Which links there have to be, for whatever cards there are, in whatever order. */
export function layoutOf(settings: UplinkSettings, links: readonly Link[]): Layout {
  const cards = links.filter(isCard);
  const { uplinks } = settings;
  const named = new Set(uplinks.flatMap(({ macs }) => macs));
  const byMac = (mac: string): Link | undefined =>
    cards.find(({ permanentMac }) => permanentMac === mac);
  const wanted: WantedLink[] = [];
  for (const [at, uplink] of uplinks.entries()) {
    const shared = uplinks.filter((other) => cardsOf(other) === cardsOf(uplink));
    const first = shared[0] === undefined ? at : uplinks.indexOf(shared[0]);
    const members = uplink.macs.flatMap((mac) => byMac(mac)?.name ?? []).toSorted();
    const [only] = members;
    if (only === undefined) continue;
    const isBundle = uplink.macs.length > 1;
    const base = isBundle ? `bond${first}` : only;
    const { addresses, gateways, vlan, mtuBytes = null } = uplink;
    if (first === at) {
      const plain = shared.find((other) => other.vlan === undefined);
      const sizes = shared.flatMap((other) => other.mtuBytes ?? []);
      wanted.push({
        name: base,
        members: isBundle ? members : null,
        vlan: null,
        mtuBytes: sizes.length === 0 ? null : Math.max(...sizes),
        addresses: plain?.addresses ?? null,
        gateways: plain?.gateways ?? [],
      });
    }
    if (vlan === undefined) continue;
    const own = { on: base, id: vlan };
    wanted.push({ name: `vlan${at}`, members: null, vlan: own, mtuBytes, addresses, gateways });
  }
  const others = cards.filter(({ permanentMac = '' }) => !named.has(permanentMac));
  return {
    links: [...wanted, ...others.map(({ name }) => automatic(name))],
    missing: [...named].filter((mac) => byMac(mac) === undefined),
  };
}

function automatic(name: string): WantedLink {
  const bare = { members: null, vlan: null, mtuBytes: null, gateways: [] };
  return { name, ...bare, addresses: 'automatic' };
}
