import { type Difference, NO_DIFFERENCE } from '../lib/driver.ts';
import { containerAddress, formatIpv6, nodeAddress, nodeSubnet } from './address.ts';
import type { Znet, ZnetEnd } from './spec.ts';

/** IPv6 packets of 1500 bytes less what WireGuard wraps around them (IPv6 outside). */
export const TUNNEL_MTU_BYTES = 1420;

/** Often enough for every home router to keep the way back open. */
export const KEEPALIVE_SECONDS = 25;

/** A tunnel without a handshake for so long is dead: WireGuard makes one each two minutes. */
const HANDSHAKE_AGE_MS_MAX = 180_000;

/** A znet's end on this node, with the peers whose keys are known. */
export type ZnetSpec = {
  /** 32 hex digits. */
  readonly id: string;
  /** This node's own address in it. */
  readonly address: string;
  /** Where every address of this znet lies, on whatever node. */
  readonly prefix: string;
  readonly peers: readonly ZnetPeer[];
};

export type ZnetPeer = {
  readonly node: string;
  /** X25519, base64; out of that node's own signed receipt. */
  readonly publicKey: string;
  /** `1.2.3.4:5` or `[fd00::1]:5`; none when it told no address: then it has to call. */
  readonly endpoint: string | null;
  /** The peer's own part of the znet, and nothing else, may come from it. */
  readonly subnet: string;
};

/** What is there of a znet. */
export type ZnetHave = {
  readonly id: string;
  /** Whether everything that `create` makes is there. */
  readonly isWhole: boolean;
  readonly publicKey: string | undefined;
  readonly port: number | undefined;
  readonly isPortOpen: boolean;
  readonly address: string | undefined;
  readonly peers: readonly {
    readonly publicKey: string;
    readonly endpoint: string | undefined;
    readonly allowedIps: readonly string[];
    readonly handshakeAgeMs: number | undefined;
  }[];
};

/** The network namespace of a znet: the whole id, for a tenant chooses what part of it collides. */
export function namespaceOf(znetId: string): string {
  return `zn-${znetId}`;
}

/**
 * The znet as it shall stand on `node`. `ends` are other nodes' ends of it by node id, each out of
 * a receipt that the node signed; a peer that has told nothing yet is left out until it does.
 */
export function znetSpecOf(wish: {
  readonly id: string;
  readonly node: string;
  readonly znet: Znet;
  readonly ends: ReadonlyMap<string, ZnetEnd>;
}): ZnetSpec {
  const { id, node, znet, ends } = wish;
  const peers = znet.peers.flatMap((peer) => {
    const end = ends.get(peer.node);
    return end === undefined || end.znet !== id ? [] : [peerOf(id, peer.node, end)];
  });
  return {
    id,
    address: nodeAddress(id, node),
    prefix: `${formatIpv6(`fd${id.slice(0, 10)}`.padEnd(32, '0'))}/48`,
    // A key is one peer's: whoever tells another's as its own is left out, if it comes later.
    peers: peers.filter(
      ({ publicKey }, at) => peers.findIndex((peer) => peer.publicKey === publicKey) === at,
    ),
  };
}

function peerOf(id: string, node: string, end: ZnetEnd): ZnetPeer {
  const [address] = end.addresses;
  const host = address?.includes(':') === true ? `[${address}]` : address;
  const subnet = nodeSubnet(id, node);
  const endpoint = host === undefined ? null : `${host}:${end.port}`;
  return { node, publicKey: end.publicKey, endpoint, subnet };
}

/** Where and how a container is joined to a znet on a node. */
export function attachmentOf(wish: {
  readonly znet: string;
  readonly node: string;
  readonly container: string;
}): { readonly netns: string; readonly address: string; readonly mtuBytes: number } {
  const address = containerAddress(wish.znet, wish.node, wish.container);
  return { netns: namespaceOf(wish.znet), address, mtuBytes: TUNNEL_MTU_BYTES };
}

/** The peers that are missing or set otherwise, and those that nobody wants. */
export type PeerDifference = {
  readonly set: readonly ZnetPeer[];
  readonly remove: readonly string[];
};

/**
 * Peers by key. A working tunnel's endpoint is left as it is, for WireGuard follows a peer that
 * moves; one that has been silent is set to what the peer says of itself.
 */
export function peerDifference(spec: ZnetSpec, have: Pick<ZnetHave, 'peers'>): PeerDifference {
  const wanted = new Map(spec.peers.map((peer) => [peer.publicKey, peer]));
  const there = new Map(have.peers.map((peer) => [peer.publicKey, peer]));
  return {
    set: spec.peers.filter((peer) => {
      const found = there.get(peer.publicKey);
      if (found === undefined || found.allowedIps.join() !== peer.subnet) return true;
      const isSilent = (found.handshakeAgeMs ?? Infinity) > HANDSHAKE_AGE_MS_MAX;
      return isSilent && peer.endpoint !== null && found.endpoint !== peer.endpoint;
    }),
    remove: [...there.keys()].filter((publicKey) => !wanted.has(publicKey)),
  };
}

/** Peers come and go in place; anything else that is not as it should be is made anew. */
export function compareZnet(spec: ZnetSpec, have: ZnetHave): Difference {
  if (!have.isWhole || have.address !== spec.address) {
    return { change: 'replace', because: 'half-made' };
  }
  const { set, remove } = peerDifference(spec, have);
  if (set.length > 0 || remove.length > 0) return { change: 'update', because: 'other-peers' };
  if (!have.isPortOpen) return { change: 'update', because: 'port-closed' };
  return NO_DIFFERENCE;
}
