import { formatDuration } from '../../lib/units.ts';
import type { ReleaseKind, UpdatePolicy } from '../../rollout/spec.ts';
import { formatWindow, parseWindow, windowAt } from '../../rollout/window.ts';
import { BotError } from '../errors.ts';
import { type KnownNode, listNodes } from '../grid.ts';
import { plain, shortId, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { type FarmUpdates, openUpdates, signNext } from './policy.ts';

export type UpdatesWish = {
  readonly farm: string | undefined;
  /** As the farmer wrote it, such as `Sun 02:00-05:00`. */
  readonly window: string | undefined;
  readonly share: string | undefined;
};

/** `zos farm updates`: says when and how nodes are updated, and shows how that goes. */
export async function farmUpdates(world: World, wish: UpdatesWish): Promise<void> {
  const change: Partial<UpdatePolicy> = {
    ...(wish.window === undefined ? {} : { window: readWindow(wish.window) }),
    ...(wish.share === undefined ? {} : { sharePercent: readShare(wish.share) }),
  };
  let updates = await openUpdates(world, wish.farm);
  if (Object.keys(change).length > 0) {
    await signNext(updates, () => change);
    updates = await openUpdates(world, wish.farm);
  }
  const { known } = await listNodes(updates.grid, world.nowMs());
  const nodes = known.filter(({ farm }) => farm === updates.farm.id);
  const releases = releasesOf(updates, nodes);
  const { said, policy, farm } = updates;
  answer(
    world,
    { farm: farm.id, name: farm.name, policy, nodes: said.nodes, atOnce: said.atOnce, releases },
    textOf(updates, releases, world.nowMs()),
  );
}

/** A state in which a node is with a release. */
type Standing = 'has it' | 'at it' | 'bad' | 'waits' | 'left it';

export type ReleaseView = {
  readonly release: string;
  readonly what: ReleaseKind;
  /** Why no further node takes it up, or `null`. */
  readonly stopped: string | null;
  readonly nodes: readonly {
    readonly node: string;
    readonly state: Standing;
    readonly because: string;
    readonly atMs: number | null;
  }[];
};

const STANDINGS = {
  open: 'at it',
  good: 'has it',
  bad: 'bad',
  waiting: 'waits',
  left: 'left it',
} as const;

/** Each node by its own signed word where there is one, else as the directory sees it. */
function releasesOf({ said, policy }: FarmUpdates, nodes: readonly KnownNode[]): ReleaseView[] {
  const views = Map.groupBy(said.turns, ({ release }) => release);
  return [...views].map(([release, turns]) => {
    const what = turns[0]?.what ?? 'system';
    const rows: ReleaseView['nodes'][number][] = turns.map(({ node, state, because, atMs }) => {
      const beat = nodes.find(({ identity }) => identity.id === node)?.heartbeat;
      const runs = what === 'system' ? beat?.system : beat?.kernel;
      const mark = beat?.systemBad?.find(({ sha256 }) => sha256 === release);
      if (runs === release && beat?.isOnTrial === true) {
        return { node, state: 'at it', because: 'it runs, and may still go back by itself', atMs };
      }
      if (runs === release) return { node, state: 'has it', because: '', atMs };
      if (mark !== undefined) return { node, state: 'bad', because: mark.reason, atMs };
      return { node, state: STANDINGS[state], because, atMs };
    });
    const listed = new Set(rows.map(({ node }) => node));
    for (const { identity, heartbeat } of nodes) {
      const runs = what === 'system' ? heartbeat?.system : heartbeat?.kernel;
      if (runs !== release || listed.has(identity.id)) continue;
      rows.push({ node: identity.id, state: 'has it', because: '', atMs: null });
    }
    return { release, what, nodes: rows, stopped: stoppedBy(turns, release, policy) };
  });
}

function stoppedBy(
  turns: FarmUpdates['said']['turns'],
  release: string,
  policy: UpdatePolicy | null,
): string | null {
  if (policy?.stopped.includes(release) === true) return 'you stopped it';
  const bad = turns.findLast((turn) => turn.state === 'bad' && !turn.isForgiven);
  return bad === undefined ? null : `node ${shortId(bad.node)}: ${bad.because}`;
}

function textOf(updates: FarmUpdates, releases: readonly ReleaseView[], nowMs: number): string {
  const { farm, policy, said } = updates;
  const share = policy === null ? '' : `${policy.sharePercent} %, that is `;
  const head = [
    ['Farm:', `${farm.name}, nodes: ${said.nodes}`],
    ['Window:', windowText(policy, nowMs)],
    ['Share:', `${share}${said.atOnce} at a time`],
  ];
  const parts = releases.map((view) => releaseText(view, said.nodes, nowMs));
  const none = 'No node has asked to change to another release yet.\n';
  return [table(head), ...(parts.length === 0 ? [none] : parts)].join('\n');
}

function windowText(policy: UpdatePolicy | null, nowMs: number): string {
  const window = policy?.window ?? null;
  if (window === null) {
    return 'none signed: nodes update in place at any time, and no machine restarts for an update';
  }
  const state = windowAt(window, nowMs);
  const named = window === 'always' ? 'always' : `${formatWindow(window)} UTC`;
  if (!state.isOpen) return `${named}, opens in ${formatDuration(state.opensAtMs - nowMs)}`;
  if (state.closesAtMs === null) return named;
  return `${named}, open for ${formatDuration(state.closesAtMs - nowMs)} more`;
}

function releaseText(view: ReleaseView, count: number, nowMs: number): string {
  const { release, what, stopped, nodes } = view;
  const had = nodes.filter(({ state }) => state === 'has it').length;
  const title = `Release ${shortId(release)} (${what}): ${had} of ${count} nodes have it`;
  const rows = nodes.map(({ node, state, because, atMs }) => [
    `  ${shortId(node)}`,
    state,
    atMs === null ? '' : `${formatDuration(Math.max(0, nowMs - atMs))} ago`,
    plain(because),
  ]);
  const next = `Next: \`zos farm rollout resume ${shortId(release)}\` lets it go on.`;
  const end = stopped === null ? '' : `Stopped: ${plain(stopped)}\n${next}\n`;
  return `${title}\n${table(rows)}${end}`;
}

function readWindow(text: string): UpdatePolicy['window'] {
  const window = parseWindow(text);
  if (window !== undefined) return window;
  const sentence =
    `"${text}" is no window; write one such as "Sun 02:00-05:00", "Mon-Fri ` +
    `01:00-04:00", "daily 02:00-05:00" (UTC, ten minutes at least), or "always".`;
  throw new BotError('USAGE', sentence);
}

function readShare(text: string): number {
  const percent = Number(/^(?<percent>\d{1,3}) ?%$/u.exec(text.trim())?.groups?.['percent']);
  if (percent >= 1 && percent <= 100) return percent;
  throw new BotError('USAGE', `"${text}" is no share; write one from 1% to 100%, such as 25%.`);
}
