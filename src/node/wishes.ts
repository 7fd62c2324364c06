import { containerSpecOf, type SealedSecret } from '../container/plan.ts';
import type { Container } from '../container/spec.ts';
import { bindingOf, secretKey } from '../contract/checks/body.ts';
import type { VerifiedContract } from '../contract/verify.ts';
import { formatBytes } from '../lib/units.ts';
import { znetIdOf } from '../znet/address.ts';
import { attachmentOf, znetSpecOf } from '../znet/plan.ts';
import { imageMountPath } from '../zosfs/plan.ts';
import type { Znet, ZnetEnd } from '../znet/spec.ts';
import type { NamedFile } from '../lib/names.ts';
import { volumeIdOf } from '../volume/plan.ts';
import {
  bodyFact,
  keptVolumes,
  mountsOf,
  volumeFacts,
  volumeItems,
  type VolumesGround,
} from './volumes/wishes.ts';
import { type Fact, type Graph, graphOf, type Item, itemOf } from './loop/graph.ts';

/** Every kind the agent has a driver for; what is used stands before what uses it. */
export const KINDS = ['firewall', 'image', 'znet', 'volume', 'container'] as const;

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
  /** Whether times in contracts, and in the farmer's policy, mean something. */
  readonly isClockSynced: boolean;
  /** Whether anything may be started: the copy of a node's disk hears that it may not. */
  readonly mayStart: boolean;
  readonly fetchOf: (sha256: string) => Fetch | undefined;
  readonly endOf: (node: string, znet: string) => ZnetEnd | undefined;
  readonly volumes: VolumesGround;
};

/** The images that contracts name, each once, with every source that any of them names. */
export function imagesOf(contracts: readonly VerifiedContract[]): readonly NamedFile[] {
  const images = new Map<string, { image: NamedFile; sources: Set<string> }>();
  for (const { workloads } of contracts) {
    for (const workload of workloads) {
      if (workload.kind !== 'container') continue;
      const { image } = workload;
      const known = images.get(image.sha256) ?? { image, sources: new Set() };
      images.set(image.sha256, known);
      for (const source of image.sources) known.sources.add(source);
    }
  }
  return [...images.values()].map(({ image, sources }) => ({ ...image, sources: [...sources] }));
}

/** Builds the graph again and again; what follows from a contract alone is made once. */
export function openWishes(): (ground: Ground) => Graph {
  const made = new WeakMap<VerifiedContract, readonly Item[]>();
  return (ground) =>
    wishesOf(ground, (contract) => {
      const items = made.get(contract) ?? containerItems(contract, ground);
      made.set(contract, items);
      return items;
    });
}

/** Builds the one graph of everything that this node shall be; pure. */
export function wishesOf(
  ground: Ground,
  itemsOf = (contract: VerifiedContract) => containerItems(contract, ground),
): Graph {
  const facts = [
    clockFact(ground),
    startFact(ground),
    ...ground.contracts.map(validFact(ground)),
    ...ground.contracts.flatMap(bodyFact),
  ];
  const images = imagesOf(ground.contracts);
  facts.push(...images.map((image) => imageFact(image, ground)));
  const znets = znetWishes(ground);
  facts.push(...znets.flatMap(({ facts: peerFacts }) => peerFacts));
  facts.push(...ground.contracts.flatMap((contract) => volumeFacts(contract, ground.volumes)));
  const items: Item[] = [
    itemOf({ kind: 'firewall', id: 'host', spec: {}, deps: [] }),
    ...images.map((image) => {
      const { sha256 } = image;
      return itemOf({ kind: 'image', id: sha256, spec: image, deps: [`image-fetched ${sha256}`] });
    }),
    ...znets.map(({ item }) => item),
    ...ground.contracts.flatMap(volumeItems),
    ...keptVolumes(ground),
    ...ground.contracts.flatMap(itemsOf),
  ];
  return graphOf({ kinds: KINDS, items, facts });
}

function clockFact({ isClockSynced }: Ground): Fact {
  const because = 'the directory has not told the time yet';
  return { key: 'clock-synced', isMet: isClockSynced, because };
}

function startFact({ mayStart }: Ground): Fact {
  const because = 'the directory has not answered yet whether this machine is a copy';
  return { key: 'may-start', isMet: mayStart, because };
}

function validFact({ nowMs, isClockSynced }: Ground): (contract: VerifiedContract) => Fact {
  return ({ id, notBeforeMs, notAfterMs }) => {
    const isMet = isClockSynced && notBeforeMs <= nowMs && nowMs < notAfterMs;
    return {
      key: `contract-valid ${id}`,
      isMet,
      // Made when somebody asks, for at rest nobody does.
      get because() {
        if (!isClockSynced) return 'not known without a clock';
        const [from, to] = [notBeforeMs, notAfterMs].map((ms) => new Date(ms).toISOString());
        return `it holds from ${from} to ${to}`;
      },
    };
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
  return [...znetsOf(contracts)].map(([id, znet]) => {
    const ends = new Map<string, ZnetEnd>();
    const facts = znet.peers.map((peer): Fact => {
      const end = endOf(peer.node, id);
      if (end !== undefined) ends.set(peer.node, end);
      const because = 'that node has not told its end of the network yet';
      return { key: `peer-key ${peer.node} ${id}`, isMet: end !== undefined, because };
    });
    const spec = znetSpecOf({ id, node, znet, ends });
    const hopes = facts.map(({ key }) => key);
    return { item: itemOf({ kind: 'znet', id, spec, deps: ['firewall host'], hopes }), facts };
  });
}

function znetsOf(contracts: readonly VerifiedContract[]): ReadonlyMap<string, Znet> {
  const znets = new Map<string, Znet>();
  for (const { tenant, workloads } of contracts) {
    for (const workload of workloads) {
      if (workload.kind !== 'znet') continue;
      const id = znetIdOf(tenant, workload.name);
      const nodes = [...(znets.get(id)?.peers ?? []), ...workload.peers].map((peer) => peer.node);
      const peers = [...new Set(nodes)].sort().map((peer) => ({ node: peer }));
      znets.set(id, { ...workload, peers });
    }
  }
  return znets;
}

/** They follow from the contract and the node alone: they are kept as long as the contract is. */
function containerItems(
  contract: VerifiedContract,
  { node }: Pick<Ground, 'node'>,
): readonly Item[] {
  return contract.workloads.flatMap((workload) => {
    if (workload.kind !== 'container') return [];
    const znet = workload.znet === null ? null : znetIdOf(contract.tenant, workload.znet);
    const spec = containerSpecOf({
      contract: contract.id,
      container: workload,
      rootPath: imageMountPath(workload.image.sha256),
      secrets: secretsOf(contract, workload),
      ...mountsOf(contract, workload),
      attachment: znet === null ? null : attachmentOf({ znet, node, container: workload.name }),
    });
    const deps = ['clock-synced', 'may-start', `contract-valid ${contract.id}`];
    deps.push(`image ${workload.image.sha256}`);
    if (znet !== null) deps.push(`znet ${znet}`);
    if (workload.secrets.length > 0) deps.push(`private-body ${contract.id}`);
    for (const { volume } of workload.volumes ?? []) {
      deps.push(`volume ${volumeIdOf(contract.id, volume)}`);
    }
    return [itemOf({ kind: 'container', id: spec.id, spec, deps })];
  });
}

/** Sealed as they came: only the container's driver opens them, when it starts the container. */
function secretsOf(contract: VerifiedContract, { name: container, secrets }: Container) {
  const { grid, tenant, node } = contract;
  return secrets.map(({ name, env }): SealedSecret => {
    const place = { grid, tenant, node, container, name };
    const sealed = contract.private?.secrets[secretKey(place)] ?? '';
    return { name, env, sealed, binding: bindingOf(place) };
  });
}
