import { mkdir, rm, writeFile } from 'node:fs/promises';
import { closeTunnelPort, openTunnelPort } from '../host/net/firewall.ts';
import { listNamespaces, runIp } from '../host/net/ip.ts';
import { loadRules } from '../host/net/nft.ts';
import { FORWARD_IPV6, writeSettings } from '../host/net/settings.ts';
import { changePeers, setNewKey, showInterface, type WgPeerChange } from '../host/net/wg.ts';
import type { Driver } from '../lib/driver.ts';
import { DONE_FOLDER, donePath, observeZnets, strayLinks, TUNNEL } from './observe.ts';
import {
  compareZnet,
  KEEPALIVE_SECONDS,
  namespaceOf,
  peerDifference,
  TUNNEL_MTU_BYTES,
  type ZnetHave,
  type ZnetPeer,
  type ZnetSpec,
} from './plan.ts';

/** Tenants' networks, by znet id: a namespace, and in it a tunnel whose socket is the host's. */
export function znetDriver(): Driver<ZnetSpec, ZnetHave> {
  return {
    kind: 'znet',
    observe: observeZnets,
    compare: compareZnet,
    create: createZnet,
    update: async (spec, have, signal) => {
      const { set, remove } = peerDifference(spec, have);
      const gone = remove.map((publicKey) => ({ publicKey, remove: true }) as const);
      const wish = { netns: namespaceOf(spec.id), link: TUNNEL, signal };
      await changePeers(wish, [...gone, ...set.map(changeOf)]);
      if (!have.isPortOpen && have.port !== undefined) {
        await loadRules(openTunnelPort(have.port), signal);
      }
    },
    remove: async (id, have, signal) => {
      if (have.port !== undefined && have.isPortOpen) {
        await loadRules(closeTunnelPort(have.port), signal);
      }
      await rm(donePath(id), { force: true });
      await runIp([`netns del ${namespaceOf(id)}`], { signal });
    },
  };
}

async function createZnet(spec: ZnetSpec, signal: AbortSignal): Promise<void> {
  const netns = namespaceOf(spec.id);
  const outside = `zn-${spec.id.slice(0, 12)}`;
  await rm(donePath(spec.id), { force: true });
  await runIp(
    [
      ...(await leftovers(netns, outside)),
      `netns add ${netns}`,
      // Where a WireGuard link is made its socket stays: outside, where the node's addresses are.
      `link add dev ${outside} type wireguard`,
      `link set dev ${outside} netns ${netns} name ${TUNNEL}`,
    ],
    { signal },
  );
  await Promise.all([
    setNewKey({ netns, link: TUNNEL, signal }, spec.peers.map(changeOf)),
    writeSettings({ netns, paths: [FORWARD_IPV6], value: '1', signal }),
  ]);
  await runIp(
    [
      'link set dev lo up',
      `address add ${spec.address}/128 dev ${TUNNEL}`,
      `link set dev ${TUNNEL} mtu ${TUNNEL_MTU_BYTES} up`,
      `route add ${spec.prefix} dev ${TUNNEL}`,
    ],
    { netns, signal },
  );
  await mkdir(DONE_FOLDER, { recursive: true, mode: 0o700 });
  await writeFile(donePath(spec.id), spec.address, { mode: 0o600 });
  const { port } = await showInterface({ netns, link: TUNNEL, signal });
  if (port !== undefined) await loadRules(openTunnelPort(port), signal);
}

/** What has to go first when an earlier start was cut off. */
async function leftovers(netns: string, outside: string): Promise<string[]> {
  const [namespaces, links] = await Promise.all([listNamespaces(), strayLinks()]);
  return [
    ...(links.includes(outside) ? [`link del dev ${outside}`] : []),
    ...(namespaces.includes(netns) ? [`netns del ${netns}`] : []),
  ];
}

function changeOf({ publicKey, endpoint, subnet }: ZnetPeer): WgPeerChange {
  return {
    publicKey,
    endpoint: endpoint ?? undefined,
    allowedIps: [subnet],
    keepaliveSeconds: KEEPALIVE_SECONDS,
  };
}
