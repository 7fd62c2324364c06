// Runs in a guest as its only program, and again as its own child; see `runInGuest`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerHave } from '../../../src/container/plan.ts';
import { containerDriver } from '../../../src/container/apply.ts';
import { listContainers } from '../../../src/host/crun.ts';
import { listMounts } from '../../../src/host/mount.ts';
import { listLinks, listNamespaces } from '../../../src/host/net/ip.ts';
import type { NamedFile } from '../../../src/lib/names.ts';
import { firewallDriver } from '../../../src/node/bringup/firewall.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';
import { kindOf } from '../../../src/node/loop/graph.ts';
import { type LoopDriver, loopDriver, usesNothing } from '../../../src/node/loop/observation.ts';
import { openLoop } from '../../../src/node/loop/reconcile.ts';
import { openWishes } from '../../../src/node/wishes.ts';
import { znetDriver } from '../../../src/znet/apply.ts';
import { imageDriver } from '../../../src/zosfs/apply.ts';
import { openImageStore } from '../../../src/zosfs/store.ts';
import { powerOff, prepareMachine, serveImage } from '../guest/ground.ts';
import { RESULT_MARK } from '../guest/mark.ts';
import { contractsOf, type Phase, PHASES } from './contracts.ts';

/** When the loop's process is killed: around and in each step that it comes to. */
const MOMENTS = ['before', 'during', 'after'] as const;

type Order = {
  readonly phase: Phase;
  readonly image: NamedFile;
  /** `<moment> <step>` at which one was killed already: this one goes on there. */
  readonly struck: readonly string[];
};

const [, , child] = process.argv;
if (child === undefined) await conduct();
else await reconcile(JSON.parse(child) as Order);

/** The loop as the agent has it, until nothing is left to do, or until it is killed. */
async function reconcile({ phase, struck, image }: Order): Promise<void> {
  // Who is killed writes nothing at its end, and the next one starts from what was compiled.
  flushCompileCache();
  const ground = await openImageStore({ dataPath: null });
  const drivers = [
    loopDriver(firewallDriver(openTroubles({ steady: () => performance.now(), say: () => {} }))),
    loopDriver(imageDriver(ground), usesNothing),
    loopDriver(znetDriver(), usesNothing),
    loopDriver(containerDriver(() => new Uint8Array())),
  ].map((driver) => mortal(driver, struck));
  const ending = new AbortController();
  const wishes = openWishes();
  const contracts = contractsOf(phase, image);
  const failures: string[] = [];
  const fetch = { isFetched: true, fetchedBytes: image.lengthBytes, failure: null };
  const loop = openLoop({
    drivers: new Map(drivers.map((driver) => [driver.kind, driver])),
    lookAgainMs: 1000,
    stepMsMax: 60_000,
    wantOf: () =>
      wishes({
        node: contractsOf.node,
        contracts,
        nowMs: contractsOf.nowMs,
        isClockSynced: true,
        mayStart: true,
        fetchOf: () => fetch,
        endOf: () => undefined,
        volumes: { disks: [], found: [], isOver: () => false },
      }),
    onView: ({ steps }) => {
      if (steps.every((step) => step.do === 'wait' && step.because === 'hope')) ending.abort();
    },
    onFailure: (key, sentence) => failures.push(`${kindOf(key)}: ${sentence}`),
    clock: () => performance.now(),
    spent: () => 0,
    chance: () => 0,
  });
  await loop.run(ending.signal);
  process.stdout.write(JSON.stringify({ failures }));
}

/** A driver whose process is killed, as by `kill -9`, at a moment of a step that is left yet. */
function mortal(driver: LoopDriver, struck: readonly string[]): LoopDriver {
  const around = async (step: string, work: () => Promise<void>): Promise<void> => {
    const moment = MOMENTS.find((it) => !struck.includes(`${it} ${step}`));
    if (moment === 'before') die(`before ${step}`);
    const tool = { isDone: false };
    const working = work().finally(() => (tool.isDone = true));
    if (moment === 'during') {
      // A tool is under way: it goes on without whoever started it.
      while (!hasChild() && !tool.isDone) await sleep(1);
      die(`during ${step}`);
    }
    await working;
    if (moment === 'after') die(`after ${step}`);
  };
  const { kind } = driver;
  const idOf = (spec: unknown): string => (spec as { id?: string }).id ?? 'one';
  return {
    ...driver,
    create: async (spec, signal) =>
      around(`create ${kind} ${idOf(spec)}`, async () => driver.create(spec, signal)),
    update: async (spec, have, signal) =>
      around(`update ${kind} ${idOf(spec)}`, async () => driver.update(spec, have, signal)),
    remove: async (id, have, signal) =>
      around(`remove ${kind} ${id}`, async () => driver.remove(id, have, signal)),
  };
}

function die(where: string): never {
  writeSync(1, where);
  process.kill(process.pid, 'SIGKILL');
  throw new Error('It is dead.');
}

function hasChild(): boolean {
  const own = `/proc/${process.pid}/task`;
  return readdirSync(own).some(
    (task) => readFileSync(`${own}/${task}/children`, 'latin1').trim() !== '',
  );
}

type Run = { readonly isKilled: boolean; readonly said: string };

async function run(order: Order): Promise<Run> {
  const [node = '', script = ''] = process.argv;
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const env = { ...process.env, NODE_COMPILE_CACHE: '/tmp/compiled' };
  const started = spawn(node, [script, JSON.stringify(order)], { stdio: [...stdio], env });
  let said = '';
  started.stdout?.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  const [, signal] = (await once(started, 'close')) as [number | null, string | null];
  return { isKilled: signal === 'SIGKILL', said };
}

type Places = ReadonlyMap<string, string>;

/** Each container that runs, by its process and when that began. */
async function running(): Promise<Places> {
  const states = (await listContainers()).filter(({ state }) => state === 'running');
  return new Map(states.map(({ id, pid, startTicks }) => [id, `${pid} ${startTicks}`]));
}

/** One phase, killed at every boundary of every step; and then once more, with nothing to do. */
async function pass(phase: Phase, image: NamedFile): Promise<unknown> {
  const struck: string[] = [];
  const before = await running();
  const moved = new Set<string>();
  let seen = before;
  for (let turn = 0; turn < 120; turn += 1) {
    const { isKilled, said } = await run({ phase, struck, image });
    if (!isKilled) break;
    struck.push(said);
    const now = await running();
    for (const [id, place] of seen) if (now.get(id) !== place) moved.add(id);
    seen = now;
  }
  const settled = await running();
  const last = await run({ phase, struck, image });
  const after = await running();
  return {
    phase,
    struck: struck.map((at) => at.replaceAll(/[0-9a-f]{16,}-?/gu, '')).toSorted(),
    names: [...after.keys()].map((id) => id.slice(17)).sort(),
    moved: [...moved].map((id) => id.slice(17)).sort(),
    kept: [...before].filter(([id, place]) => after.get(id) === place).map(([id]) => id.slice(17)),
    isSettled: JSON.stringify([...settled]) === JSON.stringify([...after]),
    last: JSON.parse(last.said) as unknown,
  };
}

async function leftovers(): Promise<unknown> {
  const mounts = (await listMounts()).map(({ path }) => path);
  const haves = await containerDriver(() => new Uint8Array()).observe(new AbortController().signal);
  return {
    containers: [...haves.values()].map((have: ContainerHave) => have.id),
    namespaces: await listNamespaces(),
    links: (await listLinks()).map(({ name }) => name),
    mounts: mounts.filter((path) => /^\/run\/zos\/(?:containers|images\/mnt)\//u.test(path)),
    cgroups: readdirSync('/sys/fs/cgroup/zos/containers', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  };
}

async function conduct(): Promise<void> {
  const result: Record<string, unknown> = {};
  try {
    await prepareMachine();
    const image = await serveImage();
    const phases: unknown[] = [];
    for (const phase of PHASES) phases.push(await pass(phase, image));
    result['phases'] = phases;
    result['left'] = await leftovers();
  } catch (error) {
    result['error'] = error instanceof Error ? `${error.stack}` : String(error);
  }
  console.log(RESULT_MARK + JSON.stringify(result));
  await powerOff();
}
