import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLetterBox } from '../../../src/bot/witness/letters.ts';
import { makeWitness } from '../../../src/bot/witness/server.ts';
import { openWitnessStore, type WitnessStore } from '../../../src/bot/witness/store.ts';
import { contractDigest } from '../../../src/contract/sign.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import type { RecordSeen } from '../../../src/contract/receipt.ts';
import type { CarriedContract } from '../../../src/contract/verify.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { type Client, openClient } from '../../../src/sdk/index.ts';
import { type DirectoryProcess, startDirectory } from '../../bot/support/directory-process.ts';
import { makePerson, type Person } from '../contracts.ts';
import { contractFor, type Farmer, makeFarmer, makeToken } from '../identity/farm.ts';
import { startAgent, type TestAgent, until } from '../node/agent.ts';
import { IMAGE, lonely, nodeOf } from '../node/grid.ts';
import { Owner } from './owner.ts';
import { vkeyOf } from '../record/signers.ts';

export type Witness = { readonly url: string; readonly store: WitnessStore };

/** A real directory in hostile hands, three real witnesses, and nodes of real code. */
export type Ground = AsyncDisposable & {
  readonly owner: Owner;
  readonly witnesses: readonly Witness[];
  readonly client: Client;
  readonly tenant: Person;
  readonly directory: () => DirectoryProcess;
  /** What the owner does while the directory is down, and up it comes again. */
  readonly whileDown: (work: () => void) => Promise<void>;
  readonly kill: () => Promise<void>;
  /** A node that joined; `before` is one that was stopped. */
  readonly addNode: (before?: TestAgent) => Promise<TestAgent>;
  readonly contract: (agent: TestAgent, tenant?: Person) => CarriedContract;
  /** Sends a contract; its id. */
  readonly submit: (carried: CarriedContract) => Promise<string>;
  /** Sends one, and waits until it runs. */
  readonly deploy: (agent: TestAgent) => Promise<string>;
};

/** Opens a ground of its own for one test. */
export async function openGround(): Promise<Ground> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'zos-hostile-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, 'directory');
  mkdirSync(data, { mode: 0o700 });
  const owner = new Owner(data);
  const witnesses: Witness[] = [];
  for (const name of ['w1', 'w2', 'w3']) {
    witnesses.push(stack.use(await openWitness(join(folder, name), owner)));
  }
  const wishes = witnesses.map(({ url, store }) => `${store.vkey} ${url}`);
  const held = { directory: await startDirectory(data, { witnesses: wishes }) };
  stack.defer(async () => held.directory.kill('SIGKILL'));
  const { url, policy } = held.directory;
  const client = openClient({ baseUrl: url });
  const farmer = makeFarmer();
  await client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  const id = verifyIdentity((await client.grid()).directory).id;
  const tenant = makePerson('tenant');
  const shown = { url, client, own: { id }, record: { policy }, clock: { nowMs: Date.now() } };
  const contract = (agent: TestAgent, signer = tenant): CarriedContract =>
    contractFor(signer, nodeOf(agent), { ...lonely(), ...TODAY });
  const submit = async (carried: CarriedContract): Promise<string> => {
    await client.submitContract(carried);
    return contractDigest(carried.contract);
  };
  const open = stack.move();
  return {
    owner,
    witnesses,
    client,
    tenant,
    contract,
    submit,
    directory: () => held.directory,
    kill: async () => held.directory.kill('SIGKILL'),
    whileDown: async (work) => {
      await held.directory.kill('SIGKILL');
      work();
      const { port } = new URL(url);
      held.directory = await startDirectory(data, { witnesses: wishes, port });
    },
    addNode: async (before) => addNode({ shown, client, farmer, open }, before),
    deploy: async (agent) => {
      const sent = await submit(contract(agent));
      await runs(agent, sent);
      // And the directory has heard so, and put it on the record.
      await says(agent, new RegExp(`contract ${sent} version 1 running`, 'u'));
      return sent;
    },
    [Symbol.asyncDispose]: async () => open.disposeAsync(),
  };
}

const TODAY: Partial<Contract> = {
  notBeforeMs: Date.now() - HOUR_MS,
  notAfterMs: Date.now() + HOUR_MS,
};

async function openWitness(folder: string, owner: Owner): Promise<Witness & AsyncDisposable> {
  const store = openWitnessStore(folder);
  store.watch(vkeyOf(owner.log, 'ed25519'));
  const box = openLetterBox(folder);
  const server = makeWitness({
    store,
    box,
    nowMs: () => Date.now(),
    requestDeadlineMs: 10_000,
    onAlarm: () => undefined,
    onFailure: console.error,
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    store,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      box[Symbol.dispose]();
      store[Symbol.dispose]();
    },
  };
}

type Place = {
  readonly shown: Parameters<typeof startAgent>[0]['directory'];
  readonly client: Client;
  readonly farmer: Farmer;
  readonly open: AsyncDisposableStack;
};

async function addNode(
  { shown, client, farmer, open }: Place,
  before?: TestAgent,
): Promise<TestAgent> {
  const token = makeToken(farmer, { notAfterMs: Date.now() + HOUR_MS });
  const at = { ...shown, clock: { nowMs: Date.now() } };
  const agent = await startAgent({
    directory: at,
    farmer,
    token,
    ...(before === undefined ? {} : { before }),
  });
  // Whoever was stopped goes on in another, and its folder goes with that one.
  open.defer(async () => agent.stop());
  agent.images.add(IMAGE);
  await until(
    async () => client.nodes(),
    ({ items }) => items.some(({ id }) => id === agent.self.identity.id),
  );
  return agent;
}

/** Waits until the contract's container runs. */
export async function runs(agent: TestAgent, contract: string): Promise<void> {
  await soon(agent, () => containersOf(agent).some((id) => id.startsWith(contract.slice(0, 16))));
}

/** The containers on a node's machine. */
export function containersOf(agent: TestAgent): string[] {
  return [...agent.machine.containers.keys()];
}

/** Waits for a line of a node's screen, after the first `from` lines. */
export async function says(agent: TestAgent, pattern: RegExp, from = 0): Promise<void> {
  await soon(agent, () => agent.lines.slice(from).some((line) => pattern.test(line)));
}

/** Waits on a machine that may be busy with others. */
export async function soon(
  agent: TestAgent,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await until(isSo, Boolean, () => agent.lines.slice(-20).join('\n'));
      return;
    } catch (error) {
      if (tries === 29) throw error;
    }
  }
}

/** What the last heartbeat that the directory has of a node says of the record. */
export async function seenBy(
  { client }: Ground,
  agent: TestAgent,
): Promise<RecordSeen | undefined> {
  const { heartbeat } = await client.node(agent.self.identity.id);
  return heartbeat?.payload.record;
}
