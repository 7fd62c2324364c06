import type { VerifiedContract } from '../contract/verify.ts';
import { formatBytes } from '../lib/units.ts';
import { znetIdOf } from '../znet/address.ts';
import type { ZnetEnd } from '../znet/spec.ts';
import type { NamedFile } from '../lib/names.ts';
import { type Fact, type Graph, graphOf, type Item, itemOf, type Key } from './loop/graph.ts';

/** Every kind the agent has a driver for; what is used stands before what uses it. */
export const KINDS = ['firewall', 'filesystem', 'znet', 'container'] as const;

/** How far an image is; without `failure` its fetching goes on. */
export type Fetch = {
  readonly isFetched: boolean;
  readonly fetchedBytes: number;
  readonly failure: string | null;
};

/** What the wishes of contracts lean on. */
export type Ground = {
  readonly node: string;
  readonly contracts: readonly VerifiedContract[];
  readonly nowMs: number;
  readonly isClockSynced: boolean;
  /** Why nothing can be stored yet; `null` when it can. */
  readonly storageMissing: string | null;
  readonly fetchOf: (sha256: string) => Fetch | undefined;
  readonly endOf: (node: string, znet: string) => ZnetEnd | undefined;
};

/** The id under which a container of a contract is known on the machine. */
export function containerIdOf(contract: string, name: string): string {
  return `${contract.slice(0, 16)}-${name}`;
}

/** The images that contracts name, each once, with every source that any of them names. */
export function imagesOf(contracts: readonly VerifiedContract[]): readonly NamedFile[] {
  const images = new Map<string, NamedFile>();
  for (const { workloads } of contracts) {
    for (const workload of workloads) {
      if (workload.kind !== 'container') continue;
      const { image } = workload;
      const sources = [...(images.get(image.sha256)?.sources ?? []), ...image.sources];
      images.set(image.sha256, { ...image, sources: [...new Set(sources)] });
    }
  }
  return [...images.values()];
}

/** Builds the one graph of everything that this node shall be; pure. */
export function wishesOf(ground: Ground): Graph {
  const facts = [
    clockFact(ground),
    storageFact(ground),
    ...ground.contracts.map(validFact(ground)),
  ];
  const images = imagesOf(ground.contracts);
  facts.push(...images.map((image) => imageFact(image, ground)));
  const znets = znetWishes(ground);
  facts.push(...znets.flatMap(({ facts: peerFacts }) => peerFacts));
  const items: Item[] = [
    itemOf({ kind: 'firewall', id: 'host', spec: {}, deps: [] }),
    ...images.map(({ sha256, lengthBytes }) =>
      itemOf({
        kind: 'filesystem',
        id: sha256,
        spec: { sha256, lengthBytes },
        deps: ['data-disk', `image-fetched ${sha256}`],
      }),
    ),
    ...znets.map(({ item }) => item),
    ...ground.contracts.flatMap((contract) => containerItems(contract, ground)),
  ];
  return graphOf({ kinds: KINDS, items, facts });
}

function clockFact({ isClockSynced }: Ground): Fact {
  const because = 'the directory has not told the time yet';
  return { key: 'clock-synced', isMet: isClockSynced, because };
}

function storageFact({ storageMissing }: Ground): Fact {
  return { key: 'data-disk', isMet: storageMissing === null, because: storageMissing ?? '' };
}

function validFact({ nowMs, isClockSynced }: Ground): (contract: VerifiedContract) => Fact {
  return ({ id, notBeforeMs, notAfterMs }) => {
    const isMet = isClockSynced && notBeforeMs <= nowMs && nowMs < notAfterMs;
    const times = [notBeforeMs, notAfterMs].map((ms) => new Date(ms).toISOString());
    return { key: `contract-valid ${id}`, isMet, because: `it holds from ${times.join(' to ')}` };
  };
}

function imageFact({ sha256, lengthBytes }: NamedFile, { fetchOf }: Ground): Fact {
  const fetch = fetchOf(sha256);
  const progress = `${formatBytes(fetch?.fetchedBytes ?? 0)} of ${formatBytes(lengthBytes)}`;
  const failure = fetch?.failure ?? null;
  const because = failure === null ? progress : `${progress}; ${failure}`;
  return { key: `image-fetched ${sha256}`, isMet: fetch?.isFetched === true, because };
}

type ZnetWish = { readonly item: Item; readonly facts: readonly Fact[] };

/** One item a znet, whichever contracts name it, with the peers that any of them names. */
function znetWishes({ node, contracts, endOf }: Ground): readonly ZnetWish[] {
  const peersOf = new Map<string, Set<string>>();
  for (const { tenant, workloads } of contracts) {
    for (const workload of workloads) {
      if (workload.kind !== 'znet') continue;
      const id = znetIdOf(tenant, workload.name);
      const peers = peersOf.get(id) ?? new Set<string>();
      for (const peer of workload.peers) peers.add(peer.node);
      peersOf.set(id, peers);
    }
  }
  return [...peersOf].map(([znet, peers]) => {
    const ends = [...peers].sort().map((peer) => ({ peer, end: endOf(peer, znet) }));
    const known = ends.flatMap(({ peer, end }) =>
      end === undefined
        ? []
        : [{ node: peer, publicKey: end.publicKey, port: end.port, addresses: end.addresses }],
    );
    const facts = ends.map(({ peer, end }): Fact => {
      const because = 'that node has not told its end of the network yet';
      return { key: `peer-key ${peer} ${znet}`, isMet: end !== undefined, because };
    });
    const spec = { znet, node, peers: known };
    const hopes: Key[] = facts.map(({ key }) => key);
    return {
      item: itemOf({ kind: 'znet', id: znet, spec, deps: ['firewall host'], hopes }),
      facts,
    };
  });
}

function containerItems(contract: VerifiedContract, { node }: Ground): readonly Item[] {
  return contract.workloads.flatMap((workload) => {
    if (workload.kind !== 'container') return [];
    const znet = workload.znet === null ? null : znetIdOf(contract.tenant, workload.znet);
    const id = containerIdOf(contract.id, workload.name);
    const spec = { id, contract: contract.id, node, container: workload, znet };
    const deps = ['clock-synced', `contract-valid ${contract.id}`];
    deps.push(`filesystem ${workload.image.sha256}`);
    if (znet !== null) deps.push(`znet ${znet}`);
    return [itemOf({ kind: 'container', id, spec, deps })];
  });
}
