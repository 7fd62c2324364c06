import { FREE, type Prices } from '../../capacity/price.ts';
import type { Container } from '../../container/spec.ts';
import { type Contract, neededResources, type Workload } from '../../contract/spec.ts';
import { MINUTE_MS } from '../../lib/units.ts';
import { containerAddress, znetIdOf } from '../../znet/address.ts';
import type { VolumeWish } from '../volumes/spec.ts';
import type { Placement } from './plan.ts';
import type { ContainerWish, Deployment } from './spec.ts';

/** How far the clocks of bot and node may differ before a contract seems to begin in the future. */
const CLOCK_SKEW_MS = 2 * MINUTE_MS;
const PIDS_MAX = 512;

/** The version of a contract that a node holds already, which the next one grows out of. */
export type HeldContract = {
  readonly id: string;
  readonly version: number;
  readonly digest: string;
};

/** An offer by the SHA-256 of its payload, and what it asks. */
export type NamedOffer = { readonly id: string; readonly prices: Prices };

export type CompileQuestion = {
  readonly deployment: Deployment;
  readonly placement: Placement;
  readonly grid: string;
  readonly tenant: string;
  /** Of each node of the placement: the offer that its contract builds on. */
  readonly offers: ReadonlyMap<string, NamedOffer>;
  /** By node id: the SHA-256 of the private body that its contract has. */
  readonly bodies: ReadonlyMap<string, string>;
  /** By node id: what this deployment has there now. */
  readonly held: ReadonlyMap<string, HeldContract>;
  /** By node id: 32 hex digits by chance. */
  readonly nonces: ReadonlyMap<string, string>;
  readonly nowMs: number;
};

/** One contract for each node of the placement, in the order of their ids. */
export function compileContracts(question: CompileQuestion): Contract[] {
  return nodesOf(question.placement).map((node) => contractFor(node, question));
}

/** The nodes of a placement, each once, in order. */
export function nodesOf(placement: Placement): string[] {
  return [...new Set(placement.values())].sort();
}

/** The name that a network has in contracts: one tenant's deployments never share one by chance. */
export function znetName(deployment: string, network: string): string {
  return `${deployment}-${network}`;
}

/** Where a container is in its network, or `null` when it has none. */
export function addressOf(
  wish: ContainerWish,
  { deployment, placement, tenant }: Pick<CompileQuestion, 'deployment' | 'placement' | 'tenant'>,
): string | null {
  const node = placement.get(wish.name);
  if (wish.network === null || node === undefined) return null;
  const znet = znetIdOf(tenant, znetName(deployment.name, wish.network));
  return containerAddress(znet, node, wish.name);
}

function contractFor(node: string, question: CompileQuestion): Contract {
  const { deployment, placement, held, nowMs } = question;
  const here = deployment.containers.filter(({ name }) => placement.get(name) === node);
  const networks = new Set(here.flatMap(({ network }) => network ?? []));
  const workloads: Workload[] = [
    ...[...networks].sort().map((network) => znetOf(network, node, question)),
    ...here.flatMap(({ volumes }) => volumes.map(volumeOf)),
    ...here.map((wish) => containerOf(wish, question)),
  ];
  const before = held.get(node);
  const offer = question.offers.get(node);
  return {
    grid: question.grid,
    id: before?.id ?? null,
    version: (before?.version ?? 0) + 1,
    previous: before?.digest ?? null,
    tenant: question.tenant,
    node,
    offer: offer?.id ?? '',
    nonce: question.nonces.get(node) ?? '',
    notBeforeMs: nowMs - CLOCK_SKEW_MS,
    notAfterMs: nowMs + deployment.durationMs,
    requires: deployment.requires,
    price: offer?.prices ?? FREE,
    resources: neededResources(workloads),
    body: question.bodies.get(node) ?? null,
    workloads,
  };
}

function volumeOf({ path: _path, ...volume }: VolumeWish): Workload {
  return { kind: 'volume', ...volume };
}

function znetOf(network: string, node: string, question: CompileQuestion): Workload {
  const { deployment, placement } = question;
  const members = deployment.containers.filter((wish) => wish.network === network);
  const nodes = new Set(members.map(({ name }) => placement.get(name) ?? node));
  const peers = [...nodes].filter((peer) => peer !== node).sort();
  return {
    kind: 'znet',
    name: znetName(deployment.name, network),
    peers: peers.map((peer) => ({ node: peer })),
  };
}

function containerOf(wish: ContainerWish, question: CompileQuestion): Container {
  const { deployment } = question;
  const others = deployment.containers.filter(
    ({ name, network }) => network !== null && network === wish.network && name !== wish.name,
  );
  return {
    kind: 'container',
    name: wish.name,
    image: wish.image,
    args: wish.args,
    env: wish.env,
    secrets: wish.secrets,
    uid: wish.uid,
    cpuMillis: wish.cpuMillis,
    memoryBytes: wish.memoryBytes,
    pidsMax: PIDS_MAX,
    znet: wish.network === null ? null : znetName(deployment.name, wish.network),
    hosts: others.map((other) => ({ name: other.name, address: addressOf(other, question) ?? '' })),
    ...(wish.volumes.length === 0
      ? {}
      : { volumes: wish.volumes.map(({ name, path }) => ({ volume: name, path })) }),
  };
}
