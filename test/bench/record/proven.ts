import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { GiB, HOUR_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { makeContract, PRICES } from '../../support/contracts.ts';
import { startWitness } from '../../support/record/witness-process.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';
import { makeQuickly, type Signing, signQuickly } from '../feed/crowd.ts';
import { inParallel } from '../feed/parallel.ts';
import { type Figure, percentile } from '../figure.ts';
import { type Listener, openListeners } from './listeners.ts';

const NODES = 400;
const TENANTS = 40;
const A_SECOND = 200;
const CONTRACTS = 4000;
const WITNESSES = 3;
/** Before the clock counts, so that nothing is measured cold. */
const WARM_UP = 400;
const WAIT_MS_MAX = 30 * SECOND_MS;

type Delays = { readonly p50: number; readonly p99: number };
type StoreName = 'SQLite' | 'PostgreSQL';

/** How long a contract takes until its node holds the proof, over both stores. */
export function figuresOfProven(): Figure[] {
  return (['SQLite', 'PostgreSQL'] as const).flatMap((store) => {
    let seen: Promise<Delays> | undefined;
    const once = async (): Promise<Delays> => (seen ??= measure(store));
    const load = `${A_SECOND} a second, ${WITNESSES} durable witnesses`;
    const what = `contract submitted to proven at its node, ${load}, ${store}`;
    const name = `record-proven-${store.toLowerCase()}`;
    const p50 = async (): Promise<number> => (await once()).p50;
    const p99 = async (): Promise<number> => (await once()).p99;
    return [
      { name: `${name}-p50`, what: `${what}, p50`, unit: 'ms', reach: 150, measure: p50 },
      { name: `${name}-p99`, what: `${what}, p99`, unit: 'ms', reach: 500, measure: p99 },
    ] satisfies Figure[];
  });
}

async function measure(store: StoreName): Promise<Delays> {
  await using resources = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'zos-bench-proven-'));
  resources.defer(async () => rm(folder, { recursive: true, force: true }));
  const storeArgs: string[] = [];
  if (store === 'PostgreSQL') {
    const server = resources.use(await openPostgresServer());
    storeArgs.push('--store', await server.makeDatabase());
  }
  const keys = ['--grid', 'test', '--data', folder];
  const { log } = await sayOf<{ log: string }>(resources, keys);
  const witnessArgs: string[] = [];
  for (let at = 0; at < WITNESSES; at += 1) {
    const wish = { name: `w${at}.bench/witness`, logs: [log] };
    const witness = resources.use(await startWitness(join(folder, `w${at}`), wish));
    witnessArgs.push('--witness', `${witness.vkey} ${witness.url}`);
  }
  const listen = ['--listen', '127.0.0.1:0', ...keys, ...storeArgs, ...witnessArgs];
  const said = await sayOf<{ listening: string; policy: string }>(resources, listen);
  const nodes = await joinCrowd(said.listening);
  const listeners = await openListeners(said, nodes);
  resources.defer(() => {
    for (const { socket } of listeners) socket.destroy();
  });
  const delaysMs = await submit(said.listening, listeners);
  const counted = delaysMs.slice(WARM_UP);
  console.error(
    `  ${store}: p50 ${percentile(counted, 50)}, p90 ${percentile(counted, 90)}, ` +
      `p99 ${percentile(counted, 99)}, most ${Math.max(...counted)} ms`,
  );
  return { p50: percentile(counted, 50), p99: percentile(counted, 99) };
}

/** Starts a directory and reads the line that it says; it ends with the others. */
async function sayOf<T>(resources: AsyncDisposableStack, args: readonly string[]): Promise<T> {
  const child = spawn(process.execPath, ['src/directory/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  resources.defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return JSON.parse(line) as T;
}

export type Joined = Signing & { readonly offerId: string };

/** Nodes that joined the farm of one farmer. */
async function joinCrowd(url: string): Promise<Joined[]> {
  const client = openClient({ baseUrl: url });
  const farmer = makeQuickly('farmer');
  const farm = signQuickly('farm', { grid: 'test', farmer: farmer.id, name: 'farm' }, farmer.key);
  await client.createFarm({ farm, farmer: farmer.document });
  const farmId = digestOf(farm);
  const nodes = Array.from({ length: NODES }, () => makeQuickly('node'));
  const joined: Joined[] = [];
  await inParallel(nodes, 8, async (node, at) => {
    const offer = signQuickly('offer', offerOf(node.id), node.key);
    const token = signQuickly('join-token', tokenOf(farmer.id, farmId, at), farmer.key);
    await client.registerNode({ identity: node.document, token, farmer: farmer.document, offer });
    joined.push({ ...node, offerId: digestOf(offer) });
  });
  return joined;
}

function offerOf(node: string) {
  const hardware = { board: 'bench', processor: 'bench', networkCards: [], disks: [] };
  const capacity = { cru: 64, mruBytes: 256 * GiB, sruBytes: 1024 * GiB, hruBytes: 0 };
  const what = { version: 1, capacity, class: 'unverified', endorsement: null, prices: PRICES };
  return { grid: 'test', node, ...what, hardware };
}

function tokenOf(farmer: string, farm: string, at: number) {
  const nonce = at.toString(16).padStart(32, '0');
  const notAfterMs = Date.now() + HOUR_MS;
  return { grid: 'test', farm, farmer, nonce, notAfterMs, takeBlankDisks: true };
}

function digestOf({ payload }: { readonly payload: string }): string {
  return sha256Hex(Buffer.from(payload, 'base64'));
}

/** Submits contracts at an even pace; how long each took to be proven at its node. */
async function submit(url: string, listeners: readonly Listener[]): Promise<number[]> {
  const client = openClient({ baseUrl: url });
  const tenants = Array.from({ length: TENANTS }, () => makeQuickly('tenant'));
  const under: Promise<number>[] = [];
  const startMs = performance.now();
  for (let at = 0; at < CONTRACTS; at += 1) {
    const listener = listeners[at % listeners.length];
    const tenant = tenants[at % TENANTS];
    if (listener === undefined || tenant === undefined) break;
    const contract = contractFor(tenant, listener.node, at);
    const dueMs = startMs + (at * SECOND_MS) / A_SECOND;
    await sleep(Math.max(0, dueMs - performance.now()));
    const sentMs = performance.now();
    const proven = listener.wait(digestOf(contract), WAIT_MS_MAX);
    const sent = client.submitContract({ contract, tenant: tenant.document });
    const took = Promise.all([proven, sent]).then(([ms]) => ms - sentMs);
    // Whoever fails first is told of at the end, with all others.
    took.catch(() => undefined);
    under.push(took);
  }
  return Promise.all(under);
}

function contractFor(tenant: Signing, node: Joined, at: number) {
  const nowMs = Date.now();
  const base = makeContract(tenant, {
    node: node.id,
    offer: node.offerId,
    nonce: at.toString(16).padStart(32, '0'),
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + HOUR_MS,
  });
  return signQuickly('contract', base, tenant.key);
}
