import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { askBot } from '../../boot/grid/bot.ts';
import { type Grid, openGrid } from '../../boot/grid/grid.ts';
import { namedFileSchema } from '../../src/lib/names.ts';
import { MINUTE_MS, SECOND_MS } from '../../src/lib/units.ts';
import { openClient } from '../../src/sdk/client.ts';
import { type Figure, percentile } from './figure.ts';

const MB = 1_000_000;
const NODES = 2;
/** The size at which figures of memory are quoted: "used" grows with what there is. */
const MEMORY_MIB = 512;
const IDLE_MS = MINUTE_MS;
const DEPLOYMENTS = 20;

type Opened = { readonly grid: Grid; readonly wireBytes: readonly number[] };

/** One grid of two nodes for all the figures that are measured on one; opened on first use. */
export function figuresOnGrid(root: string, env: Readonly<Record<string, string>>) {
  const stack = new AsyncDisposableStack();
  let opened: Promise<Opened> | undefined;
  const open = (): Promise<Opened> => (opened ??= openForBench({ root, env, stack }));
  const figures: Figure[] = [
    {
      name: 'wire',
      what: 'bytes over the wire to a running agent',
      unit: 'MB',
      reach: 96,
      measure: async () => Math.max(...(await open()).wireBytes) / MB,
    },
    {
      name: 'registered',
      what: 'power-on to registered, two nodes at once',
      unit: 's',
      reach: 120,
      measure: async () => {
        const { nodes } = (await open()).grid;
        return Math.max(...nodes.map((node) => node.registeredAfterMs)) / SECOND_MS;
      },
    },
    {
      name: 'memory',
      what: 'memory in use at idle, agent and courier running, in a 512 MB guest',
      unit: 'MB',
      reach: 170,
      measure: async () => measureMemory((await open()).grid),
    },
    {
      name: 'deploy',
      what: 'contract sent to container running, root file system cached, p95',
      unit: 's',
      reach: 3,
      measure: async () => measureDeployments((await open()).grid, root),
    },
  ];
  return { figures, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

type OpenWish = {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stack: AsyncDisposableStack;
};

async function openForBench({ root, env, stack }: OpenWish): Promise<Opened> {
  const grid = stack.use(
    await openGrid({
      root,
      env,
      name: 'bench',
      nodes: NODES,
      memoryMiB: MEMORY_MIB,
      diskMiB: 1024,
      folder: join(root, 'dist/bench'),
      onEvent: ({ subject, state, text }) => {
        if (state !== 'running') console.error(`bench: ${subject}: ${text}`);
      },
      signal: new AbortController().signal,
    }),
  );
  const wireBytes = await Promise.all(grid.nodes.map(({ name }) => grid.lab.wireBytesTo(name)));
  return { grid, wireBytes };
}

/** What of a node's memory is not available to anybody else, by its own heartbeat, at its most. */
async function measureMemory(grid: Grid): Promise<number> {
  await sleep(IDLE_MS);
  const client = openClient({ baseUrl: grid.directory.url });
  const used = grid.nodes.map(async ({ id }) => {
    const { heartbeat } = await client.node(id);
    if (heartbeat === null) throw new Error(`Node ${id} has sent no heartbeat.`);
    const { totalBytes, availableBytes } = heartbeat.payload.memory;
    return (totalBytes - availableBytes) / MB;
  });
  return Math.max(...(await Promise.all(used)));
}

/** As a tenant sees it, with the half second between two looks of the bot in it. */
async function measureDeployments({ bot, folder, imagesUrl }: Grid, root: string): Promise<number> {
  const file = join(root, 'dist/images/web.erofs');
  const image = await askBot(
    bot,
    ['image', file, '--url', `${imagesUrl}/web.erofs`],
    namedFileSchema,
  );
  const args = ['/bin/busybox', 'sleep', '3600'];
  const containers = { one: { image, args } };
  const path = join(folder, 'bench.json');
  await writeFile(path, JSON.stringify({ name: 'bench', duration: '1h', containers }));
  const seconds: number[] = [];
  // The first one fetches the root file system, and does not count.
  for (let count = 0; count <= DEPLOYMENTS; count += 1) {
    const took = await deployOnce(bot, path);
    if (count > 0) seconds.push(took);
    await askBot(bot, ['cancel', 'bench'], z.unknown());
  }
  const sorted = seconds.toSorted((a, b) => a - b).map((value) => value.toFixed(1));
  console.error(`bench: deploy: ${sorted.join(' ')} s`);
  return percentile(seconds, 95);
}

async function deployOnce(bot: Grid['bot'], path: string): Promise<number> {
  let sentMs = Number.NaN;
  let runningMs = Number.NaN;
  const onLine = (line: string): void => {
    if (/\bsent\b/u.test(line)) sentMs = performance.now();
    if (/\brunning\b.*\bcontainer\b/u.test(line)) runningMs = performance.now();
  };
  await bot.zos({ args: ['deploy', path], onLine });
  const took = (runningMs - sentMs) / SECOND_MS;
  if (Number.isNaN(took)) throw new Error('zos deploy did not say when it sent, or what runs.');
  return took;
}
