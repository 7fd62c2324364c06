import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Person } from '../contracts.ts';
import { contractFor, makeFarmer, makeOffer, makeToken } from '../identity/farm.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { fromBase64, sha256Hex } from '../../../src/lib/bytes.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { GRID, makePerson } from '../contracts.ts';
import { startWitness, type WitnessProcess } from '../record/witness-process.ts';

export type WatchedDirectory = AsyncDisposable & {
  readonly url: string;
  readonly folder: string;
  /** Stops the directory, changes what is in its data folder, and starts it on the same port. */
  readonly restart: (change: (data: string) => void) => Promise<void>;
  /** Of its log, and two of its three witnesses. */
  readonly policy: string;
  readonly witnesses: readonly WitnessProcess[];
};

type Line = { readonly listening?: string; readonly log: string; readonly policy?: string };

/** The real directory and three real witnesses, each a process of its own. */
export async function openWatchedDirectory(): Promise<WatchedDirectory> {
  const folder = mkdtempSync(join(tmpdir(), 'zos-watched-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true }));
  const data = ['--grid', GRID, '--data', join(folder, 'directory')];
  const keys = await run(data);
  await keys.ended;
  const witnesses: WitnessProcess[] = [];
  for (const name of ['w1.example', 'w2.example', 'w3.example']) {
    const path = join(folder, name);
    witnesses.push(stack.use(await startWitness(path, { name, logs: [keys.said.log] })));
  }
  const named = witnesses.flatMap(({ vkey, url }) => ['--witness', `${vkey} ${url}`]);
  const start = async (port: string) => run([...data, '--listen', `127.0.0.1:${port}`, ...named]);
  let running = await start('0');
  const stop = async (): Promise<void> => {
    running.child.kill('SIGTERM');
    await running.ended;
  };
  stack.defer(async () => stop());
  const { listening = '', policy = '' } = running.said;
  const open = stack.move();
  return {
    url: listening,
    folder,
    policy,
    witnesses,
    restart: async (change) => {
      await stop();
      change(join(folder, 'directory'));
      running = await start(new URL(listening).port);
    },
    [Symbol.asyncDispose]: async () => open.disposeAsync(),
  };
}

async function run(args: readonly string[]) {
  const child = spawn(process.execPath, ['src/directory/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), ended]);
  if (typeof line !== 'string') throw new Error('the directory ended and said nothing');
  return { child, ended, said: JSON.parse(line) as Line };
}

export type Tenancy = {
  readonly tenant: Person;
  readonly node: Person;
  /** Sends a contract of its own for the node, and answers its id. */
  readonly submit: () => Promise<string>;
};

/** A tenant and a node that joined, by the real clock. */
export async function openTenancy(url: string): Promise<Tenancy> {
  const client = openClient({ baseUrl: url });
  const farmer = makeFarmer();
  const tenant = makePerson('tenant');
  const node = makePerson('node');
  await client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  const offer = makeOffer(node);
  await client.registerNode({
    identity: node.document,
    token: makeToken(farmer, { notAfterMs: Date.now() + HOUR_MS }),
    farmer: farmer.document,
    offer,
  });
  const offerId = sha256Hex(fromBase64(offer.payload) ?? new Uint8Array());
  const submit = async (): Promise<string> => {
    const at = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + HOUR_MS };
    const { id } = await client.submitContract(
      contractFor(tenant, { id: node.id, offerId }, { ...at, ...SMALL }),
    );
    return id;
  };
  return { tenant, node, submit };
}

const SMALL = { resources: { cpuMillis: 1, memoryBytes: 1024, ssdBytes: 1024, hddBytes: 0 } };
