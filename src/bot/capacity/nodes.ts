import { formatMicros, type Prices } from '../../capacity/price.ts';
import { computeUnitMicros, MICROS, storageUnitMicros } from '../../capacity/units.ts';
import { paint } from '../../lib/colour.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { type KnownNode, listNodes, openGrid } from '../grid.ts';
import { plain, shortId, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { type NodesOptions, searchOf } from './wish.ts';

const HEADING = [
  'node',
  'farm',
  'state',
  'processors',
  'memory',
  'storage',
  'CU',
  'SU',
  'price',
  'place',
  'uptime',
  'measured',
  'class',
  'proven',
  'seen',
];

/** `zos nodes`: what each node offers, what of it is free, and when it was heard of. */
export async function printNodes(world: World, options: NodesOptions): Promise<void> {
  const search = await searchOf(world, options);
  const grid = await openGrid(world);
  const nowMs = world.nowMs();
  const { known, doubtful } = await listNodes(grid, nowMs, search);
  for (const { id, code } of doubtful) {
    const warning = `Node ${shortId(id)} is left out: what it signed does not hold (${code}).`;
    world.terminal.err(`${paint(world.terminal, 'yellow', warning)}\n`);
  }
  const rows = known.map((node) => rowOf(node, nowMs));
  const none =
    search === undefined
      ? `The grid ${grid.name} has no nodes yet; boot one with a token of \`zos farm token\`.\n`
      : `No node of the grid ${grid.name} has all of that; ask for less of it.\n`;
  const text =
    rows.length === 0
      ? none
      : `Free of all, on the grid ${grid.name}:\n\n${table([HEADING, ...rows])}${wordsOn(known)}`;
  answer(world, known.map(valueOf), text);
}

function rowOf(node: KnownNode, nowMs: number): string[] {
  const { identity, offer, used, heartbeat, farm } = node;
  const { cru, mruBytes, sruBytes } = offer.capacity;
  const share = (free: number, all: number): string =>
    `${formatBytes(Math.max(0, free))} of ${formatBytes(all)}`;
  return [
    shortId(identity.id),
    farm === null ? '-' : shortId(farm),
    stateOf(node),
    `${Math.max(0, cru - used.cpuMillis / 1000)} of ${cru}`,
    share(mruBytes - used.memoryBytes, mruBytes),
    share(sruBytes - used.ssdBytes, sruBytes),
    units(freeUnits(node).computeMicros),
    units(freeUnits(node).storageMicros),
    priceOf(offer.prices),
    node.location?.country ?? '-',
    uptimeOf(node),
    measuredOf(node, nowMs),
    plain(offer.class),
    provenIn(node, nowMs),
    heartbeat === null ? 'never' : `${formatDuration(Math.max(0, nowMs - heartbeat.atMs))} ago`,
  ];
}

/** The cloud units of what is free. */
function freeUnits({ offer: { capacity }, used }: KnownNode) {
  return {
    computeMicros: computeUnitMicros({
      cpuMillis: Math.max(0, capacity.cru * 1000 - used.cpuMillis),
      memoryBytes: Math.max(0, capacity.mruBytes - used.memoryBytes),
    }),
    storageMicros: storageUnitMicros({
      hruBytes: Math.max(0, capacity.hruBytes - used.hddBytes),
      sruBytes: Math.max(0, capacity.sruBytes - used.ssdBytes),
    }),
  };
}

/** Where a node signs that it was up and nobody heard it, both are shown: `91.2 (99.8) %`. */
export function uptimeOf({ uptime }: KnownNode): string {
  if (uptime === null || uptime.windows === 0) return '-';
  const { heard, said, windows } = uptime;
  const percent = (count: number): string => (Math.floor((count / windows) * 1000) / 10).toFixed(1);
  return said === 0 ? `${percent(heard)} %` : `${percent(heard)} (${percent(heard + said)}) %`;
}

/** What the node showed that it has, and how long ago; what it did not show is only claimed. */
export function measuredOf({ measured }: KnownNode, nowMs: number): string {
  if (measured === null) return 'not yet';
  const { because, memoryBytes, diskBytes, roundsPerSecond, bytesPerSecond, atMs } =
    measured.payload;
  const ago = `${formatDuration(Math.max(0, nowMs - atMs))} ago`;
  if (because !== '') return `failed ${ago}: ${plain(because.split(':')[0] ?? '')}`;
  const parts = [
    `${formatBytes(memoryBytes)} memory`,
    `${formatBytes(diskBytes)} disk`,
    `${((roundsPerSecond ?? 0) / 1e6).toFixed(1)} M rounds/s`,
    `${(((bytesPerSecond ?? 0) * 8) / 1e6).toFixed(0)} Mbit/s`,
  ];
  return `${parts.join(', ')}, ${ago}`;
}

function units(micros: number): string {
  return (Math.floor(micros / (MICROS / 100)) / 100).toFixed(2);
}

function priceOf(prices: Prices): string {
  const { computeHourMicros, storageHourMicros, networkMicros } = prices;
  const all = [computeHourMicros, storageHourMicros, networkMicros];
  return all.every((micros) => micros === 0) ? 'free' : all.map(formatMicros).join(' ');
}

/** What people should know of starts and updates: a line for each that did not go as it should. */
function wordsOn(nodes: readonly KnownNode[]): string {
  const words = nodes.flatMap(({ identity, heartbeat }) => {
    const who = `Node ${shortId(identity.id)}`;
    const last = heartbeat?.starts?.at(-1);
    const isFault = last !== undefined && FAULTS.has(last.reason);
    const what = last?.what === 'boot' ? 'the machine' : 'its agent';
    const left = (heartbeat?.systemBad ?? []).map(
      ({ sha256, reason }) => `${who} leaves release ${shortId(sha256)} alone: ${plain(reason)}.\n`,
    );
    left.push(...troublesOf(heartbeat).map((what) => `${who} is in trouble: ${what}\n`));
    left.push(...refusalsOf(heartbeat).map((what) => `${who} refused ${what} as it booted.\n`));
    if (!isFault) return left;
    return [`${who}: ${what} was started anew (${last.reason}): ${plain(last.detail)}.\n`, ...left];
  });
  return words.length === 0 ? '' : `\n${words.join('')}`;
}

const FAULTS: ReadonlySet<string> = new Set(['panic', 'watchdog', 'agent-crash']);

/** What is wrong with it now, by its own word. */
function troublesOf(heartbeat: KnownNode['heartbeat']): string[] {
  return (heartbeat?.troubles ?? []).map(({ code, sentence }) => plain(`${code} ${sentence}`));
}

function provenIn({ offer, proof, class: counted }: KnownNode, nowMs: number): string {
  if (offer.class !== 'attested') return '-';
  if (proof === null) return 'not asked yet';
  const ago = `${formatDuration(Math.max(0, nowMs - proof.atMs))} ago`;
  return counted === 'attested' ? ago : `no, ${plain(proof.because.split(':')[0] || 'long ago')}`;
}

/** What a node did not take at its last boot: somebody near it lies, or is broken. */
export function refusalsOf(heartbeat: KnownNode['heartbeat']): string[] {
  return (heartbeat?.boot?.refusals ?? []).map(({ artifact, code, mirror }) => {
    const from = mirror === null ? '' : ` from ${mirror}`;
    return plain(`${artifact}${from} (${code})`);
  });
}

/** Whether it is there, in words. */
export function stateOf({ isOnline, state, heartbeat }: KnownNode): string {
  if (state !== 'joined') return 'waits for its farmer';
  if (heartbeat?.isAsleep === true) return 'asleep';
  return isOnline ? 'online' : 'offline';
}

/** All of it, for programs. */
export function valueOf(node: KnownNode): unknown {
  const { identity, offer, used, heartbeat, farm, state, isOnline, proof } = node;
  const { capacity } = offer;
  const lastSeenMs = heartbeat?.atMs ?? null;
  const stages = heartbeat?.stages ?? [];
  const { id, name } = identity;
  return {
    id,
    name,
    farm,
    state,
    isOnline,
    class: offer.class,
    provenClass: node.class,
    proof,
    security: heartbeat?.security ?? null,
    location: node.location,
    uptime: node.uptime,
    measured: node.measured?.payload ?? null,
    prices: offer.prices,
    features: offer.features,
    capacity,
    used,
    freeUnits: freeUnits(node),
    lastSeenMs,
    stages,
    system: heartbeat?.system ?? null,
    kernel: heartbeat?.kernel ?? null,
    starts: heartbeat?.starts ?? [],
    systemBad: heartbeat?.systemBad ?? [],
    boot: heartbeat?.boot ?? null,
    troubles: heartbeat?.troubles ?? [],
    metrics: heartbeat?.metrics ?? null,
    isAsleep: heartbeat?.isAsleep === true,
  };
}
