import { readdir } from 'node:fs/promises';
import { TUNNEL_PORTS } from '../host/net/firewall.ts';
import { type Link, listLinks, listNamespaces } from '../host/net/ip.ts';
import { listSet } from '../host/net/nft.ts';
import { showInterface, type WgInterface } from '../host/net/wg.ts';
import { codeOf } from '../lib/errors.ts';
import { namespaceOf, type ZnetHave } from './plan.ts';

/** The tunnel's name inside its namespace. */
export const TUNNEL = 'wg0';

/** Every znet that has a namespace on this machine, by id. */
export async function observeZnets(signal: AbortSignal): Promise<ReadonlyMap<string, ZnetHave>> {
  const ids = (await listNamespaces()).flatMap(
    (name) => /^zn-([0-9a-f]{32})$/u.exec(name)?.[1] ?? [],
  );
  if (ids.length === 0) return new Map();
  const ports = new Set(await listSet(TUNNEL_PORTS, signal));
  const haves = await Promise.all(ids.map(async (id) => readZnet(id, ports, signal)));
  return new Map(haves.map((have) => [have.id, have]));
}

async function readZnet(
  id: string,
  openPorts: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ZnetHave> {
  const netns = namespaceOf(id);
  try {
    const [links, tunnel] = await Promise.all([
      listLinks({ netns, signal }),
      showInterface({ netns, link: TUNNEL, signal }),
    ]);
    return haveOf(id, { links, tunnel, openPorts });
  } catch (error) {
    // A namespace without a tunnel is what a start that was cut off leaves behind.
    if (codeOf(error) !== 'TOOL_FAILED') throw error;
    return { ...NOTHING, id };
  }
}

const NOTHING = {
  isWhole: false,
  publicKey: undefined,
  port: undefined,
  isPortOpen: false,
  address: undefined,
  peers: [],
} as const;

function haveOf(
  id: string,
  found: {
    readonly links: readonly Link[];
    readonly tunnel: WgInterface;
    readonly openPorts: ReadonlySet<string>;
  },
): ZnetHave {
  const { links, tunnel, openPorts } = found;
  const link = links.find(({ name }) => name === TUNNEL);
  const { publicKey, port } = tunnel;
  return {
    id,
    // Its alias is what `create` sets last.
    isWhole: link?.alias === id && link.isUp && publicKey !== undefined && port !== undefined,
    publicKey,
    port,
    isPortOpen: openPorts.has(`${port}`),
    address: link?.addresses.find(({ scope }) => scope === 'global')?.address,
    peers: tunnel.peers,
  };
}

/** The links in the host's own namespace that a start of a znet may have left there. */
export async function strayLinks(): Promise<string[]> {
  const names: string[] = await readdir('/sys/class/net');
  return names.filter((name) => name.startsWith('zn-'));
}
