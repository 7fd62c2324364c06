import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Grid, openGrid } from '../../boot/grid/grid.ts';
import { MINUTE_MS, SECOND_MS } from '../../src/lib/units.ts';
import { lineAfter } from '../support/grid.ts';
import { openPublisher, type Publisher } from '../support/update/release.ts';
import { type Fault, openSystemMaker, type SystemMaker } from '../support/update/system.ts';
import type { Figure } from './figure.ts';

const STEP_MS = 6 * MINUTE_MS;

type Opened = { readonly grid: Grid; readonly systems: SystemMaker; readonly publisher: Publisher };

/** A small machine that is updated in place; opened on first use. */
export function figuresOnUpdate(root: string, env: Readonly<Record<string, string>>) {
  const stack = new AsyncDisposableStack();
  let opened: Promise<Opened> | undefined;
  const open = (): Promise<Opened> => (opened ??= openForUpdate({ root, env, stack }));
  const figures: Figure[] = [
    {
      name: 'update-gap',
      what: 'update in place: from the old agent’s last word to the new one at work',
      unit: 's',
      reach: 5,
      measure: async () => measureUpdate(await open(), 'none', /zos: agent agent started/u),
    },
    {
      name: 'update-back',
      what: 'update to an agent that hangs: until the old one is registered again',
      unit: 's',
      reach: 60,
      measure: async () => measureUpdate(await open(), 'hang', /update marked .* bad/u),
    },
  ];
  return { figures, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type OpenWish = {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stack: AsyncDisposableStack;
};

async function openForUpdate({ root, env, stack }: OpenWish): Promise<Opened> {
  const folder = join(root, 'dist/bench-update');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const grid = stack.use(
    await openGrid({
      root,
      env,
      name: 'bench-update',
      nodes: 1,
      memoryMiB: 512,
      diskMiB: 1024,
      folder: join(folder, 'grid'),
      hasOwnRelease: true,
      onEvent: ({ subject, state, text }) => {
        if (state !== 'running') console.error(`bench: ${subject}: ${text}`);
      },
      signal: new AbortController().signal,
    }),
  );
  const systems = await openSystemMaker(root, join(folder, 'systems'));
  return { grid, systems, publisher: openPublisher(root, grid.releasePath) };
}

/** Seconds on the machine's console from the one agent's end to the other one at work. */
async function measureUpdate(opened: Opened, fault: Fault, sign: RegExp): Promise<number> {
  const { grid, systems, publisher } = opened;
  const lines = grid.nodes[0]?.guest.lines ?? [];
  const from = lines.length;
  await publisher.publish('system.erofs', await systems.make(fault, 1));
  const away = await lineAfter(lines, {
    from: from,
    pattern: /update goes to system/u,
    deadlineMs: STEP_MS,
  });
  await lineAfter(lines, { from: from, pattern: sign, deadlineMs: STEP_MS });
  const at = lines.findIndex((line, index) => index >= from && sign.test(line.text));
  const back = await lineAfter(lines, {
    from: at,
    pattern: /zos: agent registered/u,
    deadlineMs: STEP_MS,
  });
  if (fault === 'none')
    await lineAfter(lines, { from: at, pattern: /the old one is let go/u, deadlineMs: STEP_MS });
  return (back.sincePowerOnMs - away.sincePowerOnMs) / SECOND_MS;
}
