import { networkInterfaces } from 'node:os';
import { readdir } from 'node:fs/promises';
import { z } from 'zod';
import { ZosError } from '../../lib/errors.ts';
import { run } from '../exec.ts';

export class IpError extends ZosError<'IP_OUTPUT_UNKNOWN' | 'IP_LINE_UNSAFE' | 'IP_LINE_REFUSED'> {}

export type Address = { readonly address: string; readonly prefixBits: number };

export type Link = {
  readonly name: string;
  readonly index: number;
  readonly mac: string | undefined;
  /** The card's own, also while it goes by that of the bond it is in. */
  readonly permanentMac: string | undefined;
  /** `veth`, `wireguard`, `bridge`; none for hardware and loopback. */
  readonly kind: string | undefined;
  /** The bond or bridge that it is in. */
  readonly master: string | undefined;
  /** Of a VLAN: what it lies on, and its number. */
  readonly vlan: { readonly on: string; readonly id: number } | undefined;
  /** Of a bond: its mode, and the switch that answers LACP (all zero while none does). */
  readonly bond: { readonly mode: string; readonly partnerMac: string | undefined } | undefined;
  readonly alias: string | undefined;
  readonly mtuBytes: number;
  readonly isUp: boolean;
  /** A cable is in and the other end answers. */
  readonly hasCarrier: boolean;
  readonly isLoopback: boolean;
  readonly addresses: readonly (Address & {
    readonly scope: string;
    readonly isTentative: boolean;
  })[];
};

/** Where a command works: a network namespace by name or by a process in it; the host's if none. */
export type Where = {
  readonly netns?: string | { readonly pid: number };
  readonly signal?: AbortSignal;
};

const linkSchema = z.object({
  ifname: z.string(),
  ifindex: z.int(),
  address: z.string().optional(),
  ifalias: z.string().optional(),
  mtu: z.int(),
  flags: z.array(z.string()),
  permaddr: z.string().optional(),
  master: z.string().optional(),
  link: z.string().nullish(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z
        .object({
          id: z.int().optional().catch(undefined),
          mode: z.string().optional().catch(undefined),
          ad_info: z.object({ partner_mac: z.string().optional() }).optional().catch(undefined),
        })
        .optional()
        .catch(undefined),
    })
    .optional(),
  addr_info: z
    .array(
      z.object({
        local: z.string().optional(),
        prefixlen: z.int().optional(),
        scope: z.string().optional(),
        tentative: z.boolean().optional(),
      }),
    )
    .default([]),
});

/** Every link with its addresses. */
export async function listLinks(where: Where = {}): Promise<Link[]> {
  const output = await ip(['-details', '-json', 'address', 'show'], where);
  return parseLinks(output);
}

/** Whether it is a network card of the machine, and nothing that somebody made. */
export function isCard({ isLoopback, kind }: Link): boolean {
  return !isLoopback && kind === undefined;
}

/** Reads what `ip -details -json address show` prints; throws `IpError`. */
export function parseLinks(output: string): Link[] {
  try {
    // iproute2 prints an empty object for what it filtered out.
    const items = z.array(z.unknown()).parse(JSON.parse(output === '' ? '[]' : output));
    return items.filter((item) => hasKeys(item)).map((item) => linkOf(linkSchema.parse(item)));
  } catch (cause) {
    throw new IpError('IP_OUTPUT_UNKNOWN', 'ip printed what this version can not read.', { cause });
  }
}

const routeSchema = z.object({
  dst: z.string(),
  gateway: z.string().optional(),
  dev: z.string().optional(),
  metric: z.int().optional(),
  /** Who made it: `dhcp`, `ra`, `boot` (by hand), `kernel`. */
  protocol: z.string().optional(),
});
export type Route = z.infer<typeof routeSchema>;

/** The routes of the main table; `dst` is `default` or in CIDR notation. */
export async function listRoutes(family: 4 | 6, where: Where = {}): Promise<Route[]> {
  const output = await ip([`-${family}`, '-json', 'route', 'show'], where);
  return z.array(routeSchema).parse(JSON.parse(output === '' ? '[]' : output));
}

/**
 * Carries out many lines of iproute2's own language (`link set dev eth0 up`) in one process and in
 * order, stopping at the first that fails: starting a process is what costs here.
 */
export async function runIp(lines: readonly string[], where: Where = {}): Promise<void> {
  for (const line of lines) {
    // The batch language has comments, continued lines and quotes; no line of ours needs them.
    if (!/^[\w ./:%-]+$/u.test(line)) {
      throw new IpError('IP_LINE_UNSAFE', 'A line for ip holds a character that it may not.', {
        facts: { line },
      });
    }
  }
  try {
    await ip(['-batch', '-'], where, `${lines.join('\n')}\n`);
  } catch (cause) {
    throw refusalOf(lines, cause);
  }
}

/** Which line the kernel refused and what it said; ip itself ends with the line's number only. */
function refusalOf(lines: readonly string[], cause: unknown): unknown {
  const { stderr } = cause instanceof ZosError ? cause.facts : {};
  const said = typeof stderr === 'string' ? stderr.trim().split('\n') : [];
  const number = Number(/^Command failed -:(\d+)$/u.exec(said.at(-1) ?? '')?.[1]);
  const line = lines[number - 1];
  if (line === undefined) return cause;
  const reason = said.slice(0, -1).join(' ');
  return new IpError('IP_LINE_REFUSED', `ip refused "${line}": ${reason}`, { cause });
}

/** The names of the network namespaces that `ip netns add` made. */
export async function listNamespaces(): Promise<string[]> {
  const names: string[] = await readdir('/run/netns').catch(() => []);
  return names.toSorted();
}

/** What to put before a command so that it runs inside: `ip netns exec NAME`. */
export function insideNamespace(netns: string, args: readonly string[]): readonly string[] {
  return ['netns', 'exec', netns, ...args];
}

async function ip(args: readonly string[], where: Where, stdin?: string): Promise<string> {
  const { netns, signal } = where;
  // `-n` looks below /run/netns, which a path may leave again: a process needs no name there.
  const name = typeof netns === 'object' ? `../../proc/${netns.pid}/ns/net` : netns;
  return run({
    file: 'ip',
    args: name === undefined ? args : ['-n', name, ...args],
    ...(stdin === undefined ? {} : { stdin }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function hasKeys(item: unknown): boolean {
  return typeof item === 'object' && item !== null && Object.keys(item).length > 0;
}

function layeringOf({ link, linkinfo }: z.infer<typeof linkSchema>): Pick<Link, 'vlan' | 'bond'> {
  const { info_kind: kind, info_data: told } = linkinfo ?? {};
  const id = kind === 'vlan' ? told?.id : undefined;
  const bond = { mode: told?.mode ?? '', partnerMac: told?.ad_info?.partner_mac };
  return {
    vlan: typeof link === 'string' && id !== undefined ? { on: link, id } : undefined,
    bond: kind === 'bond' ? bond : undefined,
  };
}

function linkOf(item: z.infer<typeof linkSchema>): Link {
  return {
    name: item.ifname,
    index: item.ifindex,
    mac: item.address,
    permanentMac: item.permaddr ?? item.address,
    kind: item.linkinfo?.info_kind,
    master: item.master,
    ...layeringOf(item),
    alias: item.ifalias,
    mtuBytes: item.mtu,
    isUp: item.flags.includes('UP'),
    hasCarrier: item.flags.includes('LOWER_UP'),
    isLoopback: item.flags.includes('LOOPBACK'),
    addresses: item.addr_info.flatMap(({ local, prefixlen, scope, tentative }) =>
      local === undefined || prefixlen === undefined
        ? []
        : [
            {
              address: local,
              prefixBits: prefixlen,
              scope: scope ?? '',
              isTentative: tentative === true,
            },
          ],
    ),
  };
}

/** The machine's addresses that others may reach it by, IPv4 first. */
export function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const reachable = all.filter(({ internal, address }) => !internal && !/^fe80:/iu.test(address));
  const ofFamily = (family: string): string[] =>
    reachable.filter((entry) => entry.family === family).map(({ address }) => address);
  return [...ofFamily('IPv4'), ...ofFamily('IPv6')];
}
