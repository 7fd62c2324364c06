import type { Link, Route } from '../host/net/ip.ts';
import { layoutOf, type WantedLink } from './layout.ts';
import { familyOf, type UplinkSettings } from './spec.ts';

/** The machine's links as they are. */
export type Observed = {
  readonly links: readonly Link[];
  readonly routes: readonly Route[];
  /** Kernel modules for links on links, as far as they are in. */
  readonly modules: readonly UplinkModule[];
  /** The links that the DHCP client works for; none when it does not run. */
  readonly leased: readonly string[] | null;
  /** What DHCP and routers name, and what programs here are told. */
  readonly toldNameServers: readonly string[];
  readonly nameServers: readonly string[];
  /** The host's firewall stands: without it every card stays as it is. */
  readonly isClosed: boolean;
};

export type UplinkModule = 'bonding' | '8021q';

export type UplinkStep =
  | { readonly do: 'load'; readonly module: UplinkModule; readonly because: 'settings-need-it' }
  | { readonly do: 'delete'; readonly link: string; readonly because: 'unwanted' | 'otherwise' }
  | { readonly do: 'bond'; readonly link: string; readonly because: 'missing' }
  | { readonly do: 'free'; readonly link: string; readonly because: 'in-another-bundle' }
  | {
      readonly do: 'join';
      readonly link: string;
      readonly bond: string;
      readonly because: 'in-this-bundle';
    }
  | {
      readonly do: 'vlan';
      readonly link: string;
      readonly on: string;
      readonly id: number;
      readonly because: 'missing';
    }
  | {
      readonly do: 'mtu';
      readonly link: string;
      readonly mtuBytes: number;
      readonly because: 'otherwise';
    }
  | { readonly do: 'raise'; readonly link: string; readonly because: 'down' }
  | { readonly do: 'lease'; readonly links: readonly string[]; readonly because: LeaseReason }
  | {
      readonly do: 'forget';
      readonly link: string;
      readonly address: string;
      readonly because: 'static-here';
    }
  | {
      readonly do: 'address';
      readonly link: string;
      readonly address: string;
      readonly because: 'missing';
    }
  | {
      readonly do: 'route';
      readonly link: string;
      readonly via: string;
      readonly metric: number;
      readonly because: 'missing';
    }
  | {
      readonly do: 'resolver';
      readonly nameServers: readonly string[];
      readonly because: 'otherwise';
    };

type LeaseReason = 'no-client' | 'other-links' | 'no-link-wants-it';

/** Routes that DHCP makes have a metric above 1000; those of a farmer's word come first. */
const METRIC_FIRST = 100;
/** Three is what the C library reads. */
const NAME_SERVERS_MAX = 3;
const LACP = '802.3ad';
const OURS = /^(?:bond|vlan)[0-9]$/u;

/** What is to do so that the machine's links are as settings say; nothing when they are. */
export function planUplinks(settings: UplinkSettings, have: Observed): UplinkStep[] {
  if (!have.isClosed) return [];
  const { links } = layoutOf(settings, have.links);
  const removals = removalsOf(links, have);
  const gone = new Set(removals.map(({ link }) => link));
  const routes = have.routes.filter(({ dev = '' }) => !gone.has(dev));
  const left = { ...have, links: withoutLinks(have.links, gone), routes };
  return [
    ...modulesOf(links, have),
    ...removals,
    ...links.flatMap((link) => bundleSteps(link, left)),
    ...links.flatMap((link) => linkSteps(link, left)),
    ...leaseSteps(links, have),
    ...links.flatMap((link, at) => staticSteps({ link, at }, left)),
    ...resolverSteps(settings, have),
  ];
}

/** The links after some were deleted: cards that were in them are free. */
function withoutLinks(links: readonly Link[], gone: ReadonlySet<string>): Link[] {
  return links
    .filter(({ name }) => !gone.has(name))
    .map((link) => (gone.has(link.master ?? '') ? { ...link, master: undefined } : link));
}

function modulesOf(links: readonly WantedLink[], { modules }: Observed): UplinkStep[] {
  const needed: UplinkModule[] = [
    ...(links.some(({ members }) => members !== null) ? (['bonding'] as const) : []),
    ...(links.some(({ vlan }) => vlan !== null) ? (['8021q'] as const) : []),
  ];
  return needed
    .filter((module) => !modules.includes(module))
    .map((module) => ({ do: 'load', module, because: 'settings-need-it' }));
}

type Removal = Extract<UplinkStep, { do: 'delete' }>;

/** Links of ours, by their names, that are not wanted, or not so; those on top go first. */
function removalsOf(wanted: readonly WantedLink[], { links }: Observed): Removal[] {
  const ours = links.filter(({ name, kind }) => kind !== undefined && OURS.test(name));
  const reasonOf = (link: Link): Removal['because'] | undefined => {
    const own = wanted.find(({ name }) => name === link.name);
    if (own === undefined) return 'unwanted';
    const isSame =
      own.vlan === null
        ? link.bond?.mode === LACP
        : link.vlan?.id === own.vlan.id && link.vlan.on === own.vlan.on;
    return isSame ? undefined : 'otherwise';
  };
  const direct = ours.flatMap((link): Removal[] => {
    const because = reasonOf(link);
    return because === undefined ? [] : [{ do: 'delete', link: link.name, because }];
  });
  // What lies on a link goes with it, and is made again.
  const on = ours.flatMap(({ name, vlan }): Removal[] =>
    direct.some(({ link }) => link === vlan?.on) && !direct.some(({ link }) => link === name)
      ? [{ do: 'delete', link: name, because: 'otherwise' }]
      : [],
  );
  const isBond = ({ link }: Removal): number => (link.startsWith('bond') ? 1 : 0);
  return [...on, ...direct].toSorted((a, b) => isBond(a) - isBond(b));
}

function bundleSteps({ name, members }: WantedLink, { links }: Observed): UplinkStep[] {
  if (members === null) {
    const bundle = links.find((link) => link.name === name)?.master;
    if (bundle === undefined) return [];
    return [{ do: 'free', link: name, because: 'in-another-bundle' }];
  }
  const isThere = links.some((link) => link.name === name);
  const make: UplinkStep[] = isThere ? [] : [{ do: 'bond', link: name, because: 'missing' }];
  const cards = links.filter((link) => members.includes(link.name) && link.master !== name);
  const join = cards.map((link): UplinkStep => ({
    do: 'join',
    link: link.name,
    bond: name,
    because: 'in-this-bundle',
  }));
  return [...make, ...join];
}

function linkSteps(wanted: WantedLink, { links }: Observed): UplinkStep[] {
  const { name, vlan, mtuBytes } = wanted;
  const link = links.find((one) => one.name === name);
  const steps: UplinkStep[] = [];
  if (vlan !== null && link === undefined) {
    steps.push({ do: 'vlan', link: name, ...vlan, because: 'missing' });
  }
  if (mtuBytes !== null && link?.mtuBytes !== mtuBytes) {
    steps.push({ do: 'mtu', link: name, mtuBytes, because: 'otherwise' });
  }
  if (link?.isUp !== true) steps.push({ do: 'raise', link: name, because: 'down' });
  return steps;
}

/** One client for all links that want addresses of others. */
function leaseSteps(wanted: readonly WantedLink[], { leased }: Observed): UplinkStep[] {
  const links = wanted
    .filter(({ addresses }) => addresses === 'automatic')
    .map(({ name }) => name)
    .toSorted();
  if (links.join(' ') === (leased ?? []).toSorted().join(' ')) return [];
  const other = leased === null ? 'no-client' : 'other-links';
  return [{ do: 'lease', links, because: links.length === 0 ? 'no-link-wants-it' : other }];
}

function staticSteps(
  { link: wanted, at }: { link: WantedLink; at: number },
  { links, routes }: Observed,
): UplinkStep[] {
  const { name, addresses, gateways } = wanted;
  if (addresses === null || addresses === 'automatic') return [];
  const own = links.find((one) => one.name === name)?.addresses ?? [];
  const textOf = ({ address, prefixBits }: (typeof own)[number]): string =>
    `${address}/${prefixBits}`;
  // IPv6 of a router's announcement may stand beside; IPv4 is all the farmer's.
  const foreign = own.filter(
    (one) =>
      one.scope === 'global' && familyOf(one.address) === 4 && !addresses.includes(textOf(one)),
  );
  const kept = foreign.length === 0 ? own : [];
  const metric = METRIC_FIRST + at;
  const isRouted = (via: string): boolean =>
    foreign.length === 0 &&
    routes.some(
      (route) =>
        route.dst === 'default' &&
        route.gateway === via &&
        route.dev === name &&
        route.metric === metric,
    );
  return [
    ...foreign.map(
      (one) =>
        ({ do: 'forget', link: name, address: textOf(one), because: 'static-here' }) as const,
    ),
    ...addresses
      .filter((address) => !kept.some((one) => textOf(one) === address))
      .map((address) => ({ do: 'address', link: name, address, because: 'missing' }) as const),
    ...gateways
      .filter((via) => !isRouted(via))
      .map((via) => ({ do: 'route', link: name, via, metric, because: 'missing' }) as const),
  ];
}

/** The DNS servers that count: the farmer's, else those that DHCP and routers name. */
export function nameServersOf(
  { nameServers }: Pick<UplinkSettings, 'nameServers'>,
  { toldNameServers }: Pick<Observed, 'toldNameServers'>,
): string[] {
  const all = nameServers.length > 0 ? nameServers : toldNameServers;
  return [...new Set(all)].slice(0, NAME_SERVERS_MAX);
}

function resolverSteps(settings: UplinkSettings, have: Observed): UplinkStep[] {
  const nameServers = nameServersOf(settings, have);
  if (nameServers.join(' ') === have.nameServers.join(' ')) return [];
  return [{ do: 'resolver', nameServers, because: 'otherwise' }];
}
