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
import { type Fact, type Graph, graphOf, type Item, itemOf } from './loop/graph.ts';

/** Every kind the agent has a driver for; what is used stands before what uses it. */
export const KINDS = ['firewall', 'image', 'znet', 'container'] as const;

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
  readonly fetchOf: (sha256: string) => Fetch | undefined;
  readonly endOf: (node: string, znet: string) => ZnetEnd | undefined;
};

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

    ...ground.contracts.map(validFact(ground)),
  ];
  const images = imagesOf(ground.contracts);
  facts.push(...images.map((image) => imageFact(image, ground)));
  const znets = znetWishes(ground);
  facts.push(...znets.flatMap(({ facts: peerFacts }) => peerFacts));
  const items: Item[] = [
    itemOf({ kind: 'firewall', id: 'host', spec: {}, deps: [] }),
    ...images.map((image) => {
      const { sha256 } = image;
      return itemOf({ kind: 'image', id: sha256, spec: image, deps: [`image-fetched ${sha256}`] });
    }),
    ...znets.map(({ item }) => item),
    ...ground.contracts.flatMap((contract) => containerItems(contract, ground)),
  ];
  return graphOf({ kinds: KINDS, items, facts });
}

function clockFact({ isClockSynced }: Ground): Fact {
  const because = 'the directory has not told the time yet';
  return { key: 'clock-synced', isMet: isClockSynced, because };
}

function validFact({ nowMs, isClockSynced }: Ground): (contract: VerifiedContract) => Fact {
  return ({ id, notBeforeMs, notAfterMs }) => {
    const isMet = isClockSynced && notBeforeMs <= nowMs && nowMs < notAfterMs;
    const [from, to] = [notBeforeMs, notAfterMs].map((ms) => new Date(ms).toISOString());
    const because = isClockSynced ? `it holds from ${from} to ${to}` : 'not known without a clock';
    return { key: `contract-valid ${id}`, isMet, because };
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

function containerItems(contract: VerifiedContract, { node }: Ground): readonly Item[] {
  return contract.workloads.flatMap((workload) => {
    if (workload.kind !== 'container') return [];
    const znet = workload.znet === null ? null : znetIdOf(contract.tenant, workload.znet);
    const spec = containerSpecOf({
      contract: contract.id,
      container: workload,
      rootPath: imageMountPath(workload.image.sha256),
      secrets: secretsOf(contract, workload),
      attachment: znet === null ? null : attachmentOf({ znet, node, container: workload.name }),
    });
    const deps = ['clock-synced', `contract-valid ${contract.id}`];
    deps.push(`image ${workload.image.sha256}`);
    if (znet !== null) deps.push(`znet ${znet}`);
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
