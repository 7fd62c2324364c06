import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { askBot } from '../../../boot/grid/bot.ts';
import type { Grid } from '../../../boot/grid/grid.ts';
import { namedFileSchema } from '../../../src/lib/names.ts';
import type { Door } from '../door.ts';

const statusSchema = z.object({
  contracts: z.array(
    z.object({
      receipt: z.object({
        workloads: z.array(z.object({ kind: z.string(), pid: z.number().optional() })),
      }),
    }),
  ),
});

/** On a volume of its own it counts its starts, and tells how many there were. */
const COUNTING = 'echo one >> /run/data/starts && sync && wc -l < /run/data/starts';

/** Its process on the node, and what the door says of when that started. */
export type LastingContainer = { readonly pid: number; readonly start: string };

/** Deploys a container that has to outlive every agent. */
export async function deployLasting(wish: {
  readonly root: string;
  readonly folder: string;
  readonly grid: Pick<Grid, 'bot' | 'imagesUrl'>;
  readonly door: Door;
  readonly hasVolume?: boolean;
}): Promise<LastingContainer> {
  const { root, folder, grid, door, hasVolume = false } = wish;
  const file = join(root, 'dist/images/web.erofs');
  const url = `${grid.imagesUrl}/web.erofs`;
  const image = await askBot(grid.bot, ['image', file, '--url', url], namedFileSchema);
  const path = join(folder, 'deployment.json');
  const args = ['/bin/busybox', 'sleep', '36000'];
  const counting = ['/bin/sh', '-c', `${COUNTING} && exec ${args.join(' ')}`];
  const deployment = hasVolume
    ? {
        volumes: { data: { size: '128MiB' } },
        containers: { one: { image, args: counting, volumes: { data: '/run/data' } } },
      }
    : { containers: { one: { image, args } } };
  await writeFile(path, JSON.stringify({ name: 'lasting', duration: '1h', ...deployment }));
  await grid.bot.zos({ args: ['deploy', path] });
  const { contracts } = await askBot(grid.bot, ['status', 'lasting'], statusSchema);
  const pid = contracts[0]?.receipt.workloads.find(({ kind }) => kind === 'container')?.pid ?? 0;
  const start = await door.ask(`start ${pid}`);
  if (!/^start [1-9]\d*$/u.test(start)) throw new Error(`The container does not run: ${start}`);
  return { pid, start };
}
