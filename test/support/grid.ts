import { setTimeout as sleep } from 'node:timers/promises';
import type { Grid } from '../../boot/grid/grid.ts';
import type { ConsoleLine } from '../../boot/lab/guest.ts';
import { type Heartbeat, heartbeatSchema } from '../../src/contract/receipt.ts';
import { openClient } from '../../src/sdk/client.ts';

const LOOK_MS = 100;

/** The first of a node's lines from `from` on that matches, waited for. */
export async function lineAfter(
  lines: readonly ConsoleLine[],
  wish: { readonly from: number; readonly pattern: RegExp; readonly deadlineMs: number },
): Promise<ConsoleLine> {
  const { from, pattern, deadlineMs } = wish;
  const deadline = AbortSignal.timeout(deadlineMs);
  for (;;) {
    const line = lines.slice(from).find(({ text }) => pattern.test(text));
    if (line !== undefined) return line;
    if (deadline.aborted) throw new Error(`The node did not say ${String(pattern)}.`);
    await sleep(LOOK_MS);
  }
}

/** A node's signed word to the directory that is so, waited for; the first node's unless told. */
export async function heartbeatThat(
  grid: Pick<Grid, 'directory' | 'nodes'>,
  wish: {
    readonly node?: string;
    readonly isSo: (said: Heartbeat) => boolean;
    readonly deadlineMs: number;
  },
): Promise<Heartbeat> {
  const client = openClient({ baseUrl: grid.directory.url });
  const deadline = AbortSignal.timeout(wish.deadlineMs);
  for (;;) {
    const { heartbeat } = await client.node(wish.node ?? grid.nodes[0]?.id ?? '');
    const said = heartbeatSchema.safeParse(heartbeat?.payload);
    if (said.success && wish.isSo(said.data)) return said.data;
    if (deadline.aborted) throw new Error(`The directory has ${JSON.stringify(heartbeat)}.`);
    await sleep(5 * LOOK_MS);
  }
}
