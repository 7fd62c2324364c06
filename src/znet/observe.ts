import { readdir } from 'node:fs/promises';
import { readText } from '../host/files.ts';
import { TUNNEL_PORTS } from '../host/net/firewall.ts';
import { listNamespaces } from '../host/net/ip.ts';
import { listSet } from '../host/net/nft.ts';
import { showInterface } from '../host/net/wg.ts';
import { codeOf } from '../lib/errors.ts';
import { namespaceOf, type ZnetHave } from './plan.ts';

/** The tunnel's name inside its namespace. */
export const TUNNEL = 'wg0';

/**
 * Where it is written that a znet was made to its end, with its address: to ask the namespace for
 * it takes a process each time. It lies in memory, as the znet does, and is gone with it.
 */
export const DONE_FOLDER = '/run/zos/znets';
const ADDRESS_BYTES_MAX = 64;

/** The note that a znet is whole. */
export function donePath(id: string): string {
  return `${DONE_FOLDER}/${id}`;
}

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
  try {
    const [address, tunnel] = await Promise.all([
      readText(donePath(id), ADDRESS_BYTES_MAX),
      showInterface({ netns: namespaceOf(id), link: TUNNEL, signal }),
    ]);
    const { publicKey, port, peers } = tunnel;
    const isWhole = address !== undefined && publicKey !== undefined && port !== undefined;
    return { id, isWhole, publicKey, port, isPortOpen: openPorts.has(`${port}`), address, peers };
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

/** The links in the host's own namespace that a start of a znet may have left there. */
export async function strayLinks(): Promise<string[]> {
  const names: string[] = await readdir('/sys/class/net');
  return names.filter((name) => name.startsWith('zn-'));
}
