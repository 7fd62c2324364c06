import { type ChildProcess, spawn } from 'node:child_process';
import { contractDigest } from '../../../src/contract/sign.ts';
import { untrustedPayload } from '../../../src/identity/envelope.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { type Client, openClient } from '../../../src/sdk/index.ts';
import { GRID, makePerson, type Person } from '../contracts.ts';
import { contractFor, makeFarmer, makeOffer, makeToken } from '../identity/farm.ts';

const MAIN = new URL('../../../src/directory/main.ts', import.meta.url).pathname;

/** A directory as it is run: a process of its own. */
export type DirectoryProcess = AsyncDisposable & {
  readonly child: ChildProcess;
  readonly url: string;
  readonly id: string;
  readonly client: Client;
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
};

/** Starts the directory's main program with these words after its name. */
export function launchDirectory(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (part) => (texts.out += String(part)));
  child.stderr.on('data', (part) => (texts.err += String(part)));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, texts, ended };
}

/** Starts a directory of the test grid and waits until it listens. */
export async function startDirectory(args: readonly string[]): Promise<DirectoryProcess> {
  const words = ['--listen', '127.0.0.1:0', '--grid', GRID, ...args];
  const { child, texts, ended } = launchDirectory(words);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('close', () => reject(new Error(texts.err)));
  });
  const said = JSON.parse(texts.out) as { listening: string; directory: string };
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    child,
    url: said.listening,
    id: said.directory,
    client: openClient({ baseUrl: said.listening }),
    end,
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  };
}

/** Tenants, and nodes with room for many small contracts of each of them. */
export type Ground = {
  readonly nodes: readonly (Person & { readonly offerId: string })[];
  readonly tenants: readonly Person[];
};

/** Registers nodes with a directory whose clock is the real one. */
export async function layGround(
  client: Client,
  { nowMs, count }: { nowMs: number; count: number },
): Promise<Ground> {
  const farmer = makeFarmer();
  await client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  const people = Array.from({ length: count }, () => makePerson('node'));
  const nodes = await Promise.all(
    people.map(async (node) => {
      const offer = makeOffer(node);
      await client.registerNode({
        identity: node.document,
        token: makeToken(farmer, { notAfterMs: nowMs + HOUR_MS }),
        farmer: farmer.document,
        offer,
      });
      return { ...node, offerId: sha256Hex(untrustedPayload(offer, 'offer')) };
    }),
  );
  return { nodes, tenants: Array.from({ length: count }, () => makePerson('tenant')) };
}

/** The `at`th contract, one thousandth of a core on one of the nodes, ready to be sent. */
export function smallContract({ nodes, tenants }: Ground, nowMs: number, at: number) {
  const resources = { cpuMillis: 1, memoryBytes: 1, ssdBytes: 0, hddBytes: 0 };
  const times = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + HOUR_MS };
  const node = nodes[at % nodes.length];
  const tenant = tenants[Math.floor(at / nodes.length) % tenants.length];
  if (node === undefined || tenant === undefined) throw new Error('There is no ground.');
  const carried = contractFor(tenant, node, { resources, ...times });
  return { carried, id: contractDigest(carried.contract), node, tenant };
}
