import {
  addResources,
  isShort,
  NO_RESOURCES,
  type Resources,
  shortfall,
} from '../../capacity/spec.ts';
import { formatBytes } from '../../lib/units.ts';
import { volumeBytes } from '../../volume/spec.ts';
import { BotError } from '../errors.ts';
import type { ContainerWish } from './spec.ts';

/** A node that can be asked, and what it has left. */
export type Candidate = { readonly node: string; readonly free: Resources };

/** Which node each container goes to: container name to node id. */
export type Placement = ReadonlyMap<string, string>;

export type PlacementQuestion = {
  readonly containers: readonly ContainerWish[];
  /** Containers of which no two may share a node. */
  readonly apart: readonly string[];
  readonly candidates: readonly Candidate[];
  /** Where containers of this name run now; they stay there while that is possible. */
  readonly stay: Placement;
  /** Where containers have to be, because their volumes are there. */
  readonly pinned?: Placement;
};

/**
 * Gives each container a node: those that name theirs first, then the others, largest first, each
 * to the first node with room (first fit decreasing). All are placed, or `BotError` says with
 * numbers which one is not.
 */
export function planPlacement(question: PlacementQuestion): Placement {
  if (question.candidates.length === 0) {
    throw new BotError('NO_ROOM', 'No node is online; `zos nodes` shows which ones there are.');
  }
  const used = new Map<string, Resources>();
  const placement = new Map<string, string>();
  for (const wish of inOrder(question.containers)) {
    const allowed = allowedNodes(wish, question, placement);
    const left = allowed.map(({ node, free }) => ({ node, free: minus(free, used.get(node)) }));
    const needs = needsOf(wish);
    const found = left.find(({ free }) => !isShort(shortfall(needs, NO_RESOURCES, free)));
    if (found === undefined) throw noRoom(wish, left);
    placement.set(wish.name, found.node);
    used.set(found.node, addResources(used.get(found.node) ?? NO_RESOURCES, needs));
  }
  return placement;
}

/** What one container takes of its node. */
export function needsOf({ cpuMillis, memoryBytes, image, volumes }: ContainerWish): Resources {
  const own = { cpuMillis, memoryBytes, ssdBytes: image.lengthBytes, hddBytes: 0 };
  return volumes.reduce(
    (sum, volume) => addResources(sum, { ...NO_RESOURCES, ...volumeBytes(volume) }),
    own,
  );
}

function inOrder(containers: readonly ContainerWish[]): ContainerWish[] {
  return containers.toSorted((a, b) => {
    if ((a.node === null) !== (b.node === null)) return a.node === null ? 1 : -1;
    return b.memoryBytes - a.memoryBytes || b.cpuMillis - a.cpuMillis || (a.name < b.name ? -1 : 1);
  });
}

/** The nodes that a container may go to, the one where it runs now first. */
function allowedNodes(
  wish: ContainerWish,
  question: PlacementQuestion,
  placement: Placement,
): Candidate[] {
  const taken = question.apart.includes(wish.name)
    ? question.apart.map((name) => placement.get(name))
    : [];
  const pinned = question.pinned?.get(wish.name);
  const named = question.candidates.filter(
    ({ node }) => node.startsWith(wish.node ?? '') && (pinned === undefined || node === pinned),
  );
  if (pinned !== undefined && named.length === 0) throw dataElsewhere(wish, pinned);
  if (wish.node !== null && named.length !== 1) throw unclearNode(wish.name, wish.node, named);
  const allowed = named.filter(({ node }) => !taken.includes(node));
  if (allowed.length === 0) {
    const others = question.apart.filter((name) => name !== wish.name).join(', ');
    throw new BotError(
      'NO_ROOM',
      `container ${wish.name} shall be apart from ${others}, and no node is left for it; ` +
        `${question.candidates.length} can be chosen from. Add nodes, or shorten \`apart\`.`,
    );
  }
  const stays = question.stay.get(wish.name);
  return allowed.toSorted((a, b) => Number(b.node === stays) - Number(a.node === stays));
}

function dataElsewhere({ name }: ContainerWish, node: string): BotError {
  return new BotError(
    'NO_ROOM',
    `container ${name} has its volumes on node ${node.slice(0, 10)}, which is not online or not ` +
      'the one that is named; wait for it, or give the volumes other names to begin anew.',
  );
}

function unclearNode(name: string, prefix: string, found: readonly Candidate[]): BotError {
  const problem =
    found.length === 0
      ? `wants the node ${prefix}, and no node that is online begins so; see \`zos nodes\`.`
      : `wants the node ${prefix}, and ${found.length} nodes begin so; write more of its id.`;
  return new BotError('NODE_UNKNOWN', `container ${name} ${problem}`);
}

const DIMENSIONS = [
  { key: 'memoryBytes', of: ' of memory', amount: formatBytes },
  { key: 'cpuMillis', of: '', amount: (millis: number) => `${millis / 1000} processors` },
  { key: 'ssdBytes', of: ' of storage', amount: formatBytes },
  { key: 'hddBytes', of: ' of rotating storage', amount: formatBytes },
] as const;

function noRoom(wish: ContainerWish, left: readonly Candidate[]): BotError {
  const needs = needsOf(wish);
  const which = wish.node === null ? 'the node with most free has' : `node ${wish.node} has`;
  for (const { key, of, amount } of DIMENSIONS) {
    const most = Math.max(...left.map(({ free }) => free[key]));
    if (needs[key] <= most) continue;
    return new BotError(
      'NO_ROOM',
      `container ${wish.name} asks for ${amount(needs[key])}${of}; ${which} ` +
        `${amount(most)}. Ask for less, or wait until something ends.`,
      { facts: { container: wish.name, needs, most } },
    );
  }
  const asked = DIMENSIONS.filter(({ key }) => needs[key] > 0).map(
    ({ key, of, amount }) => `${amount(needs[key])}${of}`,
  );
  return new BotError(
    'NO_ROOM',
    `container ${wish.name} asks for ${asked.join(', ')}; each is free on some node, but no node ` +
      'has all of it. Ask for less, or wait until something ends.',
    { facts: { container: wish.name, needs } },
  );
}

function minus(free: Resources, used: Resources = NO_RESOURCES): Resources {
  return {
    cpuMillis: Math.max(0, free.cpuMillis - used.cpuMillis),
    memoryBytes: Math.max(0, free.memoryBytes - used.memoryBytes),
    ssdBytes: Math.max(0, free.ssdBytes - used.ssdBytes),
    hddBytes: Math.max(0, free.hddBytes - used.hddBytes),
  };
}
