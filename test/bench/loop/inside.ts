// Runs alone in namespaces of its own; the figures are printed as JSON. See `figuresOfLoop`.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { LEAN } from '../../../image/node/lean.ts';
import { containerDriver } from '../../../src/container/apply.ts';
import { BUNDLE_ROOT, logPath } from '../../../src/container/observe.ts';
import { createContainer, deleteContainer, listContainers } from '../../../src/host/crun.ts';
import { startContainer } from '../../../src/host/crun.ts';
import { run } from '../../../src/host/exec.ts';
import { verifyContract } from '../../../src/contract/verify.ts';
import { SECOND_MS } from '../../../src/lib/units.ts';
import { loopDriver, usesNothing } from '../../../src/node/loop/observation.ts';
import { openLoop } from '../../../src/node/loop/reconcile.ts';
import { openWishes } from '../../../src/node/wishes.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { GRID, makeKnowledge, PRICES } from '../../support/contracts.ts';
import { percentile } from '../figure.ts';
import { smallContract, storeContracts } from './contracts.ts';

const [, , agentPath = '', imagePath = '', crunPath = ''] = process.argv;
const FOLDER = '/run/agent';
/** So many, to compare a contract with crun alone. */
const ONES = 40;
const MANY = 300;
/** Items of a full node. */
const FULL = 500;
const RESTED = 200;
/** By then a start is over, and what it left in the heap was given back. */
const START_MS = 35 * SECOND_MS;
const REST_MS = 40 * SECOND_MS;
/** A full node looks rarely: so long, for a percentile of its passes. */
const FULL_REST_MS = 240 * SECOND_MS;

type Told = {
  readonly atMs: number;
  readonly told: string;
  readonly passMs: number;
  readonly looks: number;
  readonly cpuMs: number;
  readonly anonymousKib: number;
};

function told(since = 0): Told[] {
  const lines = readFileSync(`${FOLDER}/told`, 'utf8').trim().split('\n');
  const all = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Told);
  return all.filter(({ atMs }) => atMs >= since);
}

async function prepare(): Promise<void> {
  await run({ file: 'mount', args: ['-t', 'tmpfs', 'none', '/run'] });
  await mkdir('/run/zos', { recursive: true });
  await mkdir('/run/netns');
  await mkdir(FOLDER);
  await run({ file: 'cp', args: ['/usr/bin/crun', '/run/crun'] });
  await run({ file: 'mount', args: ['--bind', crunPath, '/usr/bin/crun'] });
  await run({ file: 'umount', args: ['--lazy', '/sys/fs/cgroup'] });
  await run({ file: 'mount', args: ['-t', 'cgroup2', 'none', '/sys/fs/cgroup'] });
  await run({ file: 'ip', args: ['link', 'set', 'lo', 'up'] });
}

async function running(): Promise<ReadonlyMap<string, number>> {
  const states = (await listContainers()).filter(({ state }) => state === 'running');
  return new Map(states.map(({ id, pid }) => [id, pid]));
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let look = 0; look < 20_000; look += 1) {
    if (await isSo()) return;
    await sleep(20);
  }
  throw new Error(`It never came: ${what}`);
}

/** Contracts one after the other, and then crun alone for the very same bundles. */
async function compareWithCrun(wish: Parameters<typeof smallContract>[0]): Promise<number> {
  const ground = await openImageStore({ dataPath: null });
  const drivers = [
    loopDriver(imageDriver(ground), usesNothing),
    loopDriver(containerDriver(() => new Uint8Array())),
  ];
  const held: ReturnType<typeof verifyContract>[] = [];
  const wishes = openWishes();
  const ending = new AbortController();
  let onRunning: () => void = () => undefined;
  const loop = openLoop({
    drivers: new Map(drivers.map((driver) => [driver.kind, driver])),
    lookAgainMs: 5 * SECOND_MS,
    stepMsMax: 60 * SECOND_MS,
    wantOf: () =>
      wishes({
        node: wish.node,
        contracts: held,
        nowMs: Date.now(),
        isClockSynced: true,
        mayStart: true,
        fetchOf: () => ({ isFetched: true, fetchedBytes: 0, failure: null }),
        endOf: () => undefined,
        volumes: { disks: [], found: [], isOver: () => false },
      }),
    onView: ({ have }) => {
      const fine = [...have.found.values()].filter(
        ({ difference }) => difference?.change === 'none',
      );
      if (fine.filter(({ kind }) => kind === 'container').length === held.length) onRunning();
    },
    onFailure: (key, sentence) => console.error(key, sentence),
    clock: () => performance.now(),
    spent: () => 0,
    chance: Math.random,
  });
  const looping = loop.run(ending.signal);
  const offers = new Map([[wish.offer, PRICES]]);
  const contractMs: number[] = [];
  for (let at = 0; at <= ONES; at += 1) {
    const carried = smallContract(wish, 1000 + at);
    const startedMs = performance.now();
    const know = () => makeKnowledge({ node: wish.node, offers, nowMs: Date.now() });
    held.push(verifyContract(carried, know, GRID));
    const seen = new Promise<void>((resolve) => (onRunning = resolve));
    loop.wake();
    await seen;
    // The first one mounts the image.
    if (at > 0) contractMs.push(performance.now() - startedMs);
  }
  ending.abort();
  await looping;
  const crunMs = await runAlone();
  const [own, alone] = [percentile(contractMs, 50), percentile(crunMs, 50)];
  console.error(`bench: a contract takes ${own.toFixed(0)} ms, crun alone ${alone.toFixed(0)} ms`);
  return own / alone;
}

/** The same containers made again from their bundles, by crun and nothing else; then all gone. */
async function runAlone(): Promise<number[]> {
  const crunMs: number[] = [];
  for (const [id] of await running()) {
    await deleteContainer({ id });
    const output = await open(logPath(id), 'a');
    const startedMs = performance.now();
    await createContainer({ id, bundle: `${BUNDLE_ROOT}/${id}`, output });
    await startContainer({ id });
    crunMs.push(performance.now() - startedMs);
    await output.close();
  }
  const left = containerDriver(() => new Uint8Array());
  const { signal } = new AbortController();
  for (const [id, have] of await left.observe(signal)) await left.remove(id, have, signal);
  return crunMs;
}

function startAgent(lookAgainMs: number) {
  // As in the image.
  const args = [...LEAN, agentPath, FOLDER, String(lookAgainMs)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

type Wish = Parameters<typeof smallContract>[0];
type Contracts = Parameters<typeof storeContracts>[2];

/** An agent that starts, makes its keys, and is killed: what a contract has to name. */
async function meetSelf(): Promise<Omit<Wish, 'image'>> {
  const path = `${FOLDER}/self.json`;
  const agent = startAgent(5 * SECOND_MS);
  await until(async () => existsSync(path), 'the agent');
  agent.kill('SIGKILL');
  return JSON.parse(readFileSync(path, 'utf8')) as Omit<Wish, 'image'>;
}

async function measure(): Promise<Record<string, number>> {
  await prepare();
  const bytes = readFileSync(imagePath);
  const server = createServer((_request, response) => response.end(bytes));
  server.listen(8080, '127.0.0.1');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const sources = ['http://127.0.0.1:8080/web.erofs'];
  const wish = { ...(await meetSelf()), image: { sha256, lengthBytes: bytes.length, sources } };
  const overCrun = await compareWithCrun(wish);
  const contracts = Array.from({ length: FULL }, (_, at) => smallContract(wish, at));
  const crowd = await fill(wish.node, contracts);
  const rest = await restart(wish.node, contracts.slice(0, RESTED));
  const month = await liveLong();
  return { overCrun, ...crowd, ...rest, ...month };
}

/** Small containers, made at once until the node is full, and then left alone. */
async function fill(node: string, contracts: Contracts): Promise<Record<string, number>> {
  await storeContracts(`${FOLDER}/contracts`, node, contracts);
  const agent = startAgent(5 * SECOND_MS);
  await until(async () => (await running()).size > 0, 'the first of many');
  const firstMs = performance.now();
  await until(async () => (await running()).size >= MANY, 'many containers');
  const createdASecond = (MANY - 1) / ((performance.now() - firstMs) / SECOND_MS);
  await until(async () => (await running()).size >= FULL, 'a full node');
  agent.kill('SIGKILL');
  const startedMs = Date.now();
  const resting = startAgent(5 * SECOND_MS);
  const fullPercent = await restOf(startedMs, FULL_REST_MS);
  resting.kill('SIGKILL');
  const passes = told(startedMs + START_MS).flatMap((it) => (it.told === 'pass' ? it.passMs : []));
  const [passMs, slowPassMs] = [percentile(passes, 50), percentile(passes, 95)];
  return { createdASecond, passMs, slowPassMs, fullPercent };
}

async function restart(node: string, contracts: Contracts): Promise<Record<string, number>> {
  await rm(`${FOLDER}/contracts`, { recursive: true });
  await storeContracts(`${FOLDER}/contracts`, node, contracts);
  const first = startAgent(5 * SECOND_MS);
  await until(async () => (await running()).size === RESTED, 'the others to be gone');
  const before = await running();
  first.kill('SIGKILL');
  const killedMs = Date.now();
  const agent = startAgent(5 * SECOND_MS);
  const looked = (): Told | undefined => told(killedMs).find((it) => it.told === 'pass');
  await until(async () => looked() !== undefined, 'the first pass of the next agent');
  const restartS = ((looked()?.atMs ?? Number.NaN) - killedMs) / SECOND_MS;
  const restPercent = await restOf(killedMs);
  agent.kill('SIGKILL');
  const after = await running();
  const touched = [...before].filter(([id, pid]) => after.get(id) !== pid).length;
  return { restartS, touched, restPercent };
}

/** What an agent takes of one core, in percent, from when its start is over. */
async function restOf(startedMs: number, restMs = REST_MS): Promise<number> {
  await sleep(START_MS + restMs);
  const rest = told(startedMs + START_MS).filter((it) => it.told === 'second');
  const [from, to] = [rest[0], rest.at(-1)];
  const tookMs = (to?.cpuMs ?? Number.NaN) - (from?.cpuMs ?? Number.NaN);
  return (100 * tookMs) / ((to?.atMs ?? 0) - (from?.atMs ?? 0));
}

/** As many looks as fit into a minute: what grows with each of them shows. */
async function liveLong(): Promise<Record<string, number>> {
  const startedMs = Date.now();
  const agent = startAgent(20);
  await sleep(75 * SECOND_MS);
  agent.kill('SIGKILL');
  const late = told(startedMs + 20 * SECOND_MS).filter((it) => it.told === 'second');
  const looks = (late.at(-1)?.looks ?? 0) - (late[0]?.looks ?? 0);
  const anonymousMb = (Math.max(...late.map((it) => it.anonymousKib)) * 1024) / 1e6;
  return { looks, anonymousMb, slopeBytes: slopeOf(late) };
}

/** Bytes a look, by least squares. */
function slopeOf(points: readonly Told[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((a, b) => a + b, 0) / values.length;
  const xs = points.map(({ looks }) => looks);
  const ys = points.map(({ anonymousKib }) => anonymousKib * 1024);
  const [x0, y0] = [mean(xs), mean(ys)];
  const up = xs.reduce((sum, x, at) => sum + (x - x0) * ((ys[at] ?? 0) - y0), 0);
  return up / xs.reduce((sum, x) => sum + (x - x0) ** 2, 0);
}

console.log(JSON.stringify(await measure()));
process.exit(0);
