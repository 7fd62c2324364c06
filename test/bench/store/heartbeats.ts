import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND_MS } from '../../../src/lib/units.ts';
import { makeQuickly, registerCrowd, type Signing, signQuickly } from '../feed/crowd.ts';
import { inParallel } from '../feed/parallel.ts';
import type { Figure } from '../figure.ts';
import { withDirectory } from './directory.ts';
import { post } from './post.ts';

const NODES = 10_000;
const EVERY_MS = 30 * SECOND_MS;
const ADDRESSES = 24;
/** How often it is looked who is due. */
const TICK_MS = 50;
/** Linux counts processor time in hundredths of a second. */
const MS_PER_TICK = 10;

/** What the signs of life of a whole grid cost a directory over SQLite. */
export function figuresOfHeartbeats(): Figure[] {
  return [
    {
      name: 'heartbeats-sqlite',
      what: `processor time of a directory that ${NODES} nodes tell every 30 s that they live`,
      unit: '% of a core',
      reach: 30,
      measure: async () =>
        withDirectory('sqlite', async ({ url, child }) => measure(url, child.pid)),
    },
  ];
}

async function measure(url: string, pid: number | undefined): Promise<number> {
  const crowd = Array.from({ length: NODES }, () => makeQuickly('node'));
  await registerCrowd(url, crowd);
  const bodies = crowd.map((node) => JSON.stringify(heartbeatOf(node)));
  const agents = Array.from(
    { length: ADDRESSES },
    (_, at) => new Agent({ keepAlive: true, localAddress: `127.0.8.${at + 1}` }),
  );
  const [startedMs, beforeMs] = [performance.now(), cpuMsOf(pid)];
  let sent = 0;
  while (sent < NODES) {
    const due = Math.min(NODES, Math.floor(((performance.now() - startedMs) / EVERY_MS) * NODES));
    await inParallel(bodies.slice(sent, due), ADDRESSES, async (body, at) => {
      const status = await post(`${url}/v1/heartbeats`, body, agents[at % ADDRESSES] as Agent);
      if (status !== 200) throw new Error(`The directory answered ${status}.`);
    });
    sent = due;
    await sleep(TICK_MS);
  }
  for (const agent of agents) agent.destroy();
  // All of them come once in this time, however long sending them took on a busy machine.
  return (100 * (cpuMsOf(pid) - beforeMs)) / EVERY_MS;
}

function heartbeatOf(node: Signing) {
  const said = {
    grid: 'test',
    node: node.id,
    seq: 1,
    atMs: Date.now(),
    bootId: 'bench',
    uptimeMs: 1,
    memory: { totalBytes: 1, availableBytes: 1 },
    addresses: [],
    stages: [],
    keyKept: 'disk',
    agentStarts: 1,
    system: '00'.repeat(32),
  };
  return signQuickly('heartbeat', said, node.key);
}

/** Processor time of a process, its own and the kernel's for it. */
function cpuMsOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  return (Number(fields[13]) + Number(fields[14])) * MS_PER_TICK;
}
