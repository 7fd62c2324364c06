import type { Metrics } from '../../contract/health/metrics.ts';
import type { Start } from '../../contract/start.ts';
import { paint } from '../../lib/colour.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { chooseNode, type KnownNode, listNodes, openGrid } from '../grid.ts';
import { plain, shortId, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { measuredOf, refusalsOf, stateOf, uptimeOf, valueOf } from './nodes.ts';

/** `zos nodes show`: how one node is, by its own signed word; what is wrong comes first. */
export async function showNode(world: World, prefix: string): Promise<void> {
  const grid = await openGrid(world);
  const nowMs = world.nowMs();
  const node = chooseNode((await listNodes(grid, nowMs)).known, prefix);
  const troubles = troublesOf(node, nowMs);
  const red = troubles.map((line) => `${paint(world.terminal, 'red', line)}\n`).join('');
  const parts = [
    `Node ${node.identity.id}\n`,
    red,
    table(factsOf(node, nowMs)),
    disksOf(node),
    startsOf(node),
  ];
  answer(world, valueOf(node), parts.filter((part) => part !== '').join('\n'));
}

function troublesOf({ heartbeat }: KnownNode, nowMs: number): string[] {
  return (heartbeat?.troubles ?? []).map(({ code, sentence, sinceMs }) => {
    const forMs = Math.max(0, nowMs - sinceMs);
    return plain(`${code} for ${formatDuration(forMs)}: ${sentence}`);
  });
}

/** Only what the node has said something of. */
function factsOf(node: KnownNode, nowMs: number): string[][] {
  const { farm, offer, heartbeat, location } = node;
  const { hardware } = offer;
  const rows: [string, string | undefined][] = [
    ['state', stateOf(node)],
    ['farm', farm === null ? 'none' : shortId(farm)],
    ['class', `${node.class}${reasonOf(node)}`],
    ['place', location?.country],
    ['board', hardware.board],
    ['processor', hardware.processor],
    ['disks', hardware.disks.join(', ')],
    ['network cards', hardware.networkCards.join(', ')],
    ['uptime counted', uptimeOf(node)],
    ['measured', measuredOf(node, nowMs)],
    ...(heartbeat === null ? [] : livingFacts(heartbeat, nowMs)),
    ...(heartbeat?.metrics === undefined ? [] : busyFacts(heartbeat.metrics)),
    ['refused as it booted', refusalsOf(heartbeat).join(', ')],
  ];
  return rows.flatMap(([name, value]) => (value ? [[name, plain(value)]] : []));
}

function reasonOf({ heartbeat }: KnownNode): string {
  const because = heartbeat?.security?.because ?? '';
  return because === '' ? '' : `: ${because}`;
}

type Living = NonNullable<KnownNode['heartbeat']>;

function livingFacts(heartbeat: Living, nowMs: number): [string, string | undefined][] {
  const { atMs, uptimeMs, memory, addresses, system, agentStarts, keyKept } = heartbeat;
  return [
    ['seen', `${formatDuration(Math.max(0, nowMs - atMs))} ago`],
    ['up for', formatDuration(uptimeMs)],
    ['addresses', addresses.join(' ')],
    ['memory', `${formatBytes(memory.availableBytes)} free of ${formatBytes(memory.totalBytes)}`],
    ['key', KEY_WORDS[keyKept]],
    ['system', system === null ? undefined : shortId(system)],
    ['agent', agentStarts === 1 ? 'started once' : `started ${agentStarts} times in this boot`],
  ];
}

function busyFacts({ busyPermille, pressure, disk, network, containers, agent }: Metrics) {
  const waits = pressure ?? { cpu: 0, memory: 0, io: 0 };
  const shares = [
    `${percent(waits.cpu / 100)} for processors`,
    `${percent(waits.memory / 100)} for memory`,
    `${percent(waits.io / 100)} for disks`,
  ];
  const { readBytes, writtenBytes, freeBytes, lengthBytes } = disk;
  const { receivedBytes, sentBytes } = network;
  return [
    ['processors', `${percent(busyPermille / 10)} busy`],
    ['work waited', pressure === null ? 'not counted' : `${shares.join(', ')}, of a minute`],
    ['storage', `${formatBytes(freeBytes)} free of ${formatBytes(lengthBytes)}`],
    ['disks so far', `${formatBytes(readBytes)} read, ${formatBytes(writtenBytes)} written`],
    ['network so far', `${formatBytes(receivedBytes)} in, ${formatBytes(sentBytes)} out`],
    ['containers', `${containers}`],
    ['agent takes', `${formatBytes(agent.memoryBytes)}, ${agent.descriptors} open files`],
  ] satisfies [string, string][];
}

function percent(value: number): string {
  return `${value.toFixed(1)} %`;
}

const KEY_WORDS = {
  sealed: 'sealed by its TPM',
  disk: 'on its disk, not sealed',
  memory: 'in memory: gone at the next boot',
} satisfies Record<Living['keyKept'], string>;

function disksOf({ heartbeat }: KnownNode): string {
  const rows = (heartbeat?.disks ?? []).map((disk) => {
    const { device, serial, model, lengthBytes, freeBytes, because, health } = disk;
    const use = freeBytes === null ? because : `${formatBytes(freeBytes)} free`;
    const worn = health.wornPercent === undefined ? '' : `, ${health.wornPercent} % worn`;
    const state = `${health.state === 'unknown' ? '' : health.state}${worn} ${health.because}`;
    const size = formatBytes(lengthBytes);
    return ['', device, serial, model, size, disk.class ?? 'not used', use, state].map(plain);
  });
  return rows.length === 0 ? '' : `Disks:\n${table(rows)}`;
}

function startsOf({ heartbeat }: KnownNode): string {
  const lines = (heartbeat?.starts ?? []).map((start) => `  ${startLine(start)}\n`);
  return lines.length === 0 ? '' : `Starts in this boot, the newest last:\n${lines.join('')}`;
}

function startLine({ what, reason, detail, atMs, system }: Start): string {
  const why = detail === '' ? reason : `${reason}: ${detail}`;
  const who = what === 'boot' ? 'machine' : 'agent';
  return plain(`${formatDuration(atMs).padStart(12)}  ${who} ${shortId(system)}  ${why}`);
}
