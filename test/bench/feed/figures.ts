import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KiB, SECOND_MS } from '../../../src/lib/units.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { startDirectory } from '../../bot/support/directory-process.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';
import { type Figure, percentile } from '../figure.ts';
import {
  makeQuickly,
  type Member,
  openFeeds,
  registerCrowd,
  type Signing,
  signQuickly,
} from './crowd.ts';

const CONNECTIONS = 10_000;
/** Connected before memory is first read, so that what a connection adds is read alone. */
const BEFORE = 1000;
const PUSHES = 1500;
const PUSHES_PER_SECOND = 100;
/** A tenant may have sixteen questions open. */
const QUESTIONS_PER_TENANT = 16;
/** The directory's sign of life goes round once, and the garbage of connecting is gone. */
const SETTLE_MS = 20 * SECOND_MS;

type Seen = { readonly connectionKiB: number; readonly pushMs: number };

/** What one directory process carries: so many nodes that hold their feed open. */
export function feedFigures(): Figure[] {
  return [...figuresOn('sqlite'), ...figuresOn('postgres')];
}

function figuresOn(store: 'sqlite' | 'postgres'): Figure[] {
  let seen: Promise<Seen> | undefined;
  const once = async (): Promise<Seen> =>
    (seen ??= store === 'sqlite' ? measure(CONNECTIONS) : measureOnPostgres(CONNECTIONS));
  return [
    {
      name: `feed-memory-${store}`,
      what: `memory of the directory for each of ${CONNECTIONS} open feeds`,
      unit: 'KiB',
      reach: 25,
      measure: async () => (await once()).connectionKiB,
    },
    {
      name: `feed-push-${store}`,
      what: `question sent to its node, ${PUSHES_PER_SECOND} a second, ${CONNECTIONS} feeds, p99`,
      unit: 'ms',
      reach: 50,
      measure: async () => (await once()).pushMs,
    },
  ];
}

async function measureOnPostgres(connections: number): Promise<Seen> {
  await using server = await openPostgresServer();
  // Awaited here: the server is stopped where this function ends.
  return await measure(connections, await server.makeDatabase());
}

/** Registers, connects, waits, reads memory, and then asks nodes at random. */
async function measure(connections: number, storeUrl?: string): Promise<Seen> {
  const store = storeUrl === undefined ? {} : { storeUrl };
  const folder = await mkdtemp(join(tmpdir(), 'zos-bench-feed-'));
  try {
    const crowd = Array.from({ length: connections }, () => makeQuickly('node'));
    {
      await using directory = await startDirectory(folder, store);
      await registerCrowd(directory.url, crowd);
    }
    await using directory = await startDirectory(folder, store);
    const first = await openFeeds(directory.url, crowd.slice(0, BEFORE));
    await sleep(SETTLE_MS);
    const beforeBytes = await residentBytes(directory.pid);
    const rest = await openFeeds(directory.url, crowd.slice(BEFORE));
    await sleep(SETTLE_MS);
    const afterBytes = await residentBytes(directory.pid);
    const members = [...first, ...rest];
    console.error(`  before ${beforeBytes / KiB} KiB, after ${afterBytes / KiB} KiB`);
    const delaysMs = await push(directory.url, members);
    console.error(`  push p50 ${percentile(delaysMs, 50)} max ${Math.max(...delaysMs)} ms`);
    for (const { socket } of members) socket.removeAllListeners('close').destroy();
    const connectionKiB = (afterBytes - beforeBytes) / KiB / (connections - BEFORE);
    return { connectionKiB, pushMs: percentile(delaysMs, 99) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(?<kib>\d+) kB/mu.exec(status)?.groups?.['kib']) * KiB;
}

/** Asks nodes something at an even pace; how long each question took to be at its node. */
async function push(url: string, members: readonly Member[]): Promise<number[]> {
  const client = openClient({ baseUrl: url });
  const tenants: Signing[] = [];
  const under: Promise<number>[] = [];
  const startMs = performance.now();
  for (let count = 0; count < PUSHES; count += 1) {
    if (count % QUESTIONS_PER_TENANT === 0) tenants.push(makeQuickly('tenant'));
    const tenant = tenants.at(-1);
    const member = members[(count * 7919) % members.length];
    if (tenant === undefined || member === undefined) break;
    const body = { question: questionOf(tenant, member.node), tenant: tenant.document };
    const dueMs = startMs + (count * SECOND_MS) / PUSHES_PER_SECOND;
    await sleep(Math.max(0, dueMs - performance.now()));
    under.push(
      (async () => {
        const sentMs = performance.now();
        const arrived = new Promise<number>((resolve) => {
          member.onEvent = () => resolve(performance.now() - sentMs);
        });
        await client.askQuestion(body);
        return arrived;
      })(),
    );
  }
  return Promise.all(under);
}

function questionOf(tenant: Signing, node: Signing) {
  const question = {
    grid: 'test',
    ask: 'attest',
    node: node.id,
    tenant: tenant.id,
    nonce: randomBytes(16).toString('hex'),
    atMs: Date.now(),
    credential: { idObject: 'AAAA', encryptedSeed: 'AAAA' },
  };
  return signQuickly('question', question, tenant.key);
}
