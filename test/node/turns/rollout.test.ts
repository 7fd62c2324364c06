import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { writeFarm } from '../../../src/bot/store.ts';
import { fetchBytes } from '../../../src/host/http.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { encodeSecretKeys } from '../../../src/identity/keys.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import type { Turns } from '../../../src/node/turns/turns.ts';
import type { BadMark } from '../../../src/rollout/spec.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { zos } from '../../bot/support/captured-terminal.ts';
import { type DirectoryProcess, startDirectory } from '../../bot/support/directory-process.ts';
import { type Farmer, makeFarmer, makeToken } from '../../support/identity/farm.ts';
import { startAgent, type TestAgent } from '../../support/node/agent.ts';

vi.setConfig({ testTimeout: 120_000 });

const OLD = '00'.repeat(32);
const NEW = '11'.repeat(32);
const FARM = 'barn';

/** One node's way to a new release: what it asks, and how the release does on it. */
class Updater {
  system = OLD;
  bad: BadMark[] = [];
  readonly answers: string[] = [];
  readonly #isGoodHere: () => boolean;

  constructor(isGoodHere: () => boolean) {
    this.#isGoodHere = isGoodHere;
  }

  readonly life = () => ({ system: this.system, systemBad: this.bad });

  readonly run = async (turns: Turns, signal: AbortSignal): Promise<void> => {
    for (; !signal.aborted && this.system !== NEW; await pause(40)) {
      const wish = { what: 'system', from: this.system, to: NEW, bad: this.bad } as const;
      const judgement = await turns.mayUpdate(wish);
      this.answers.push(judgement.may ? 'GO' : judgement.code);
      if (!judgement.may) continue;
      const isGood = this.#isGoodHere();
      this.bad = isGood ? [] : [markOf(turns.policyVersion())];
      if (isGood) this.system = NEW;
    }
  };
}

function markOf(policyVersion: number): BadMark {
  const reason = 'the agent ended with status 1 three times';
  return { what: 'system', sha256: NEW, reason, atMs: Date.now(), policyVersion };
}

/** The farmer's bot, with the keys that the farm was signed with. */
async function makeHome(path: string, farmer: Farmer): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'key.json'), encodeSecretKeys(farmer.keys));
  await writeFile(join(path, 'identity.json'), JSON.stringify(farmer.document));
  await writeFarm({ path }, { id: farmer.farmId, name: FARM, farm: farmer.farm });
}

async function startFour(directory: DirectoryProcess, farmer: Farmer, updaters: Updater[]) {
  const client = openClient({ baseUrl: directory.url });
  await client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  const said = await client.grid();
  const policy = textOf(await fetchBytes({ url: `${directory.url}/record/policy` }));
  const shown = {
    url: directory.url,
    client,
    own: { id: verifyIdentity(said.directory).id },
    record: { policy },
    clock: { nowMs: Date.now() },
  };
  return Promise.all(
    updaters.map(async ({ life, run }) => {
      const token = makeToken(farmer, { notAfterMs: Date.now() + HOUR_MS });
      return startAgent({ directory: shown, farmer, token, life, keepUpToDate: run });
    }),
  );
}

async function soon(isSo: () => boolean, say: () => string): Promise<void> {
  for (const deadlineMs = performance.now() + 60_000; !isSo(); await pause(50)) {
    if (performance.now() > deadlineMs) throw new Error(`It did not come to be: ${say()}`);
  }
}

const said = (updaters: readonly Updater[]): string =>
  updaters.map(({ answers }) => answers.slice(-5).join(' ')).join('\n');

/** Four nodes of one farm; the second that gets its turn finds the release bad, until mended. */
async function openBarn(stack: AsyncDisposableStack) {
  const folder = mkdtempSync(join(tmpdir(), 'zos-rollout-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const farmer = makeFarmer();
  await makeHome(join(folder, 'home'), farmer);
  const first = await startDirectory(join(folder, 'directory'));
  const held = { directory: first };
  stack.defer(async () => held.directory.kill('SIGTERM'));
  const bench = { homePath: join(folder, 'home'), directoryUrl: first.url };
  const tries = { count: 0, isMended: false };
  const isGoodHere = (): boolean => {
    tries.count += 1;
    return tries.count !== 2 || tries.isMended;
  };
  const updaters = Array.from({ length: 4 }, () => new Updater(isGoodHere));
  const agents: TestAgent[] = await startFour(first, farmer, updaters);
  for (const agent of agents) stack.use(agent);
  const restartDirectory = async (): Promise<void> => {
    await held.directory.kill('SIGKILL');
    const { port } = new URL(first.url);
    held.directory = await startDirectory(join(folder, 'directory'), { port });
  };
  const run = async (...args: string[]) => zos(bench, 'farm', ...args);
  return { tries, updaters, agents, restartDirectory, run };
}

test('four nodes: the second one is bad, and the others never get a turn till the farmer says so', async () => {
  await using stack = new AsyncDisposableStack();
  const { tries, updaters, agents, restartDirectory, run } = await openBarn(stack);
  const signed = await run('updates', '--window', 'always', '--share', '25%');
  expect(signed).toMatchObject({ code: 0, err: '' });

  // Every node that may still ask has been told that it is stopped, many times over.
  const waiting = (): Updater[] =>
    updaters.filter(({ system, bad }) => system === OLD && bad.length === 0);
  const isStopped = ({ answers }: Updater): boolean =>
    answers.length > 8 && answers.slice(-5).every((code) => code === 'STOPPED');
  const untilStopped = async (): Promise<void> =>
    soon(
      () => waiting().length === 2 && waiting().every(isStopped),
      () => said(updaters),
    );
  await untilStopped();
  const bad = updaters.findIndex((updater) => updater.bad.length > 0);
  const badNode = agents[bad]?.self.identity.id ?? '';
  expect(tries.count).toBe(2);
  expect(waiting().flatMap(({ answers }) => answers)).not.toContain('GO');
  const shown = await run('updates');
  expect(shown.out).toContain('Share:   25 %, that is 1 at a time');
  expect(shown.out).toContain(`Release ${NEW.slice(0, 10)} (system): 1 of 4 nodes have it`);
  expect(shown.out).toContain(
    `Stopped: node ${badNode.slice(0, 10)}: the agent ended with status 1 three times`,
  );

  await restartDirectory();
  for (const { answers } of updaters) answers.length = 0;
  await untilStopped();
  expect(tries.count).toBe(2);

  tries.isMended = true;
  const resumed = await run('rollout', 'resume', NEW.slice(0, 6));
  expect(resumed.out).toContain('goes on in farm barn');
  await soon(
    () => updaters.every(({ system }) => system === NEW),
    () => said(updaters),
  );
  expect(tries.count).toBe(5);
  const after = await run('updates', '--json');
  expect(JSON.parse(after.out)).toMatchObject({
    nodes: 4,
    atOnce: 1,
    policy: { version: 2, window: 'always', sharePercent: 25 },
    releases: [{ release: NEW, what: 'system', stopped: null }],
  });
});
