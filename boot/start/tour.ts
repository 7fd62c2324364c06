import { join, relative } from 'node:path';
import { type GridWish, openGrid, subjectsOf } from '../grid/grid.ts';
import { openRack, RACK_SUBJECTS } from './rack.ts';
import { SAMPLE, showSample, writeSample } from '../grid/sample.ts';
import type { Services } from '../grid/services.ts';
import type { Wish } from './arguments.ts';
import { quote, type Screen } from './screen.ts';

export type TourWish = Wish & {
  readonly root: string;
  readonly env: GridWish['env'];
  readonly screen: Screen;
  readonly signal: AbortSignal;
};

const NODES = 2;
const NODE_MEMORY_MIB = 1024;
const NODE_DISK_MIB = 2048;
const PAGE_COLUMNS = 100;

/** Brings a grid up, shows that it works, stays until told to end, and takes everything down. */
export async function runTour(wish: TourWish): Promise<void> {
  const { screen, signal } = wish;
  const stack = new AsyncDisposableStack();
  try {
    const folder = join(wish.root, 'dist/run');
    const grid = stack.use(await openEither(wish, folder));
    const path = await writeSample({ ...wish, ...grid, folder });
    const page = await showSample({ bot: grid.bot, path, onEvent: screen.show, signal });
    screen.say(closing(wish, { page, path, grid, folder }));
    if (!wish.isOnce) await untilTold(signal);
  } catch (error) {
    if (!signal.aborted) screen.fail();
    throw error;
  } finally {
    screen.begin(['end']);
    screen.show({ subject: 'end', state: 'running', text: 'takes everything down' });
    await stack.disposeAsync();
    const left = wish.isVirtual ? 'nothing is left' : 'the servers run on';
    screen.show({ subject: 'end', state: 'done', text: `everything is down, ${left}` });
  }
}

const AFTER = ['deployment', 'page'];

function openEither(wish: TourWish, folder: string): Promise<Services> {
  const { screen, interfaceName } = wish;
  const common = { ...wish, folder, nodes: NODES, onEvent: screen.show };
  if (interfaceName !== undefined) {
    screen.begin([...RACK_SUBJECTS, ...AFTER]);
    return openRack({ ...common, interfaceName });
  }
  screen.begin([...subjectsOf(NODES), ...AFTER]);
  const machines = { memoryMiB: NODE_MEMORY_MIB, diskMiB: NODE_DISK_MIB };
  return openGrid({ ...common, ...machines, name: 'start' });
}

async function untilTold(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
}

type Shown = {
  readonly page: string;
  readonly path: string;
  readonly folder: string;
  readonly grid: Services;
};

function closing(
  { root, screen, isOnce, isVirtual }: TourWish,
  { page, path, folder, grid }: Shown,
): string {
  const zos = `npm run -s zos -- --home ${relative(root, grid.bot.home)}`;
  const { name, client } = SAMPLE;
  const commands = [
    [`${zos} nodes`, 'what the nodes offer'],
    [`${zos} status ${name}`, 'how the containers stand'],
    [`${zos} logs ${name}/${client} --follow`, 'what the client prints'],
    [`${zos} cancel ${name}`, 'end it'],
    [`${zos} deploy ${relative(root, path)}`, 'and run it again'],
    ...(isVirtual
      ? [[`tail -f ${relative(root, folder)}/node1.log`, 'the console of a node']]
      : []),
  ];
  const columns = Math.max(...commands.map(([command = '']) => command.length));
  const next = commands.map(
    ([command = '', what = '']) => `    ${command.padEnd(columns)}  ${screen.paint('dim', what)}\n`,
  );
  return [
    `\n${screen.paint('bold', 'The client got this page through the tunnel:')}\n\n`,
    screen.paint('green', quote(page, PAGE_COLUMNS)),
    ...(isOnce
      ? ['\n']
      : [`\nTry next, in another terminal in this folder, as root:\n\n`, ...next]),
    ...(isOnce ? [] : [`\nIt stays up; Ctrl-C takes everything down.\n`]),
  ].join('');
}
