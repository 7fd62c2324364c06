import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { askBot } from '../../boot/grid/bot.ts';
import { startDirectory } from '../../boot/grid/directory.ts';
import { type Grid, openGrid } from '../../boot/grid/grid.ts';
import { firstPage, SAMPLE, writeSample } from '../../boot/grid/sample.ts';
import { GRID } from '../../boot/grid/services.ts';
import { buildEnvironment } from '../../boot/grid/release.ts';
import { run } from '../../src/host/exec.ts';
import { envelopeSchema } from '../../src/identity/envelope.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { type Door, makeDoorFirstStage, openDoor } from '../support/door.ts';

// One grid for all: two machines that netboot, join, run what was signed, and are then attacked.
const ROOT = join(import.meta.dirname, '../..');
const BOOT_MS = 15 * MINUTE_MS;
const STEP_MS = 10 * MINUTE_MS;

let folder: string;
let grid: Grid;
let doors: Door[];
let samplePath: string;

const statusSchema = z.object({
  containers: z.array(
    z.object({
      container: z.string(),
      node: z.string(),
      state: z.string(),
      startedAtMs: z.number().nullable(),
    }),
  ),
  contracts: z.array(
    z.object({
      id: z.string(),
      node: z.string(),
      receipt: z
        .object({
          state: z.string(),
          workloads: z.array(
            z.object({ kind: z.string(), name: z.string(), pid: z.number().optional() }),
          ),
        })
        .nullable(),
    }),
  ),
});
type Status = z.infer<typeof statusSchema>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-journey-'));
  grid = await openGrid({
    root: ROOT,
    name: 'journeys',
    nodes: 2,
    memoryMiB: 1024,
    diskMiB: 2048,
    folder: join(folder, 'grid'),
    hasOwnRelease: true,
    env: buildEnvironment(process.env),
    makeFirstStage: () => makeDoorFirstStage(ROOT, folder),
    hasSecondSerial: true,
    onEvent: ({ subject, state, text }) => console.log(`${subject}: ${state}: ${text}`),
    signal: AbortSignal.timeout(BOOT_MS),
  });
  const paths = grid.nodes.map(({ name }) => join(grid.lab.folder, `${name}.serial`));
  doors = await Promise.all(paths.map((path) => openDoor(path)));
  samplePath = await writeSample({ root: ROOT, ...grid });
}, BOOT_MS);

afterAll(async () => {
  for (const door of doors ?? []) door[Symbol.dispose]();
  await grid?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, STEP_MS);

test('two machines boot over the network and join their farm', async () => {
  const nodes = await askBot(grid.bot, ['nodes'], z.array(z.looseObject({ id: z.string() })));
  expect(nodes.map(({ id }) => id).toSorted()).toEqual(grid.nodes.map(({ id }) => id).toSorted());
});

test(
  'a deployment over two nodes: the client gets the page through the tunnel',
  async () => {
    await grid.bot.zos({ args: ['deploy', samplePath], onLine: (line) => console.log(line) });
    const status = await readStatus();
    const nodes = new Set(status.containers.map(({ node }) => node));
    expect(nodes.size).toBe(2);
    expect(status.containers.map(({ state }) => state)).toEqual(['running', 'running']);
    expect(await waitForPage()).toContain('Zero-OS');
  },
  STEP_MS,
);

test('on the wire between two nodes there is WireGuard, and no word of the page', async () => {
  const [one, two] = grid.nodes;
  const path = join(folder, 'wire.pcap');
  const hosts = ['host', `${one?.address}`, 'and', 'host', `${two?.address}`];
  const capture = ['-i', 'wire', '-c', '20', '-w', path, '-Z', 'root', ...hosts];
  await inNamespace(grid.lab.netns, ['tcpdump', ...capture]);
  const listed = await run({ file: 'tcpdump', args: ['-nn', '-x', '-r', path] });
  const packets = listed.split('\n').filter((line) => /^\d\d:/u.test(line));
  expect(packets.length).toBe(20);
  for (const packet of packets) {
    // The nodes' neighbours ask for each other's hardware address now and then.
    expect(packet).toMatch(/UDP, length|ARP|ICMP6, neighbor/u);
  }
  expect(packets.some((packet) => packet.includes('UDP'))).toBe(true);
  const bytes = (await readFile(path)).toString('latin1').toLowerCase();
  expect(bytes).not.toContain('html');
  expect(bytes).not.toContain('http/1');
}, 300_000);

test(
  'from a third machine on the wire no TCP port answers',
  async () => {
    const stranger = await grid.lab.addStranger('nmap');
    for (const [index, node] of grid.nodes.entries()) {
      const args = ['nmap', '-Pn', '-n', '-sS', '-p-', '--min-rate', '3000', '--max-retries', '1'];
      const report = await inNamespace(stranger.netns, [...args, '-oG', '-', node.address]);
      expect(report).toContain(`Host: ${node.address}`);
      expect(report).not.toContain('/open/');
      // Silence, not refusals: the firewall answers nothing.
      expect(report).toMatch(/Ignored State: filtered \(65535\)/u);
      expect(await doors[index]?.ask('listen')).toBe('listen 0');
    }
  },
  STEP_MS,
);

test(
  'kill -9 of the agent: it is back, and the container never noticed',
  async () => {
    const before = await readStatus();
    const pids = before.contracts.map((contract) => pidOf(contract));
    const nodeIds = before.contracts.map(({ node }) => node);
    const started = await Promise.all(pids.map((pid, i) => doorOf(nodeIds[i]).ask(`start ${pid}`)));
    expect(started.every((line) => /^start [1-9]\d*$/u.test(line))).toBe(true);
    for (const [index, door] of doors.entries()) {
      const guest = grid.nodes[index]?.guest;
      const earlier = guest?.lines.length ?? 0;
      expect(await door.ask('kill')).toMatch(/^killed [1-9]/u);
      const isBack = (): boolean =>
        (guest?.lines ?? []).slice(earlier).some(({ text }) => text.includes('agent registered'));
      await until(isBack, 'the agent is back');
    }
    const after = await readStatus();
    expect(after.contracts.map((contract) => pidOf(contract))).toEqual(pids);
    expect(after.containers).toEqual(before.containers);
    const again = await Promise.all(pids.map((pid, i) => doorOf(nodeIds[i]).ask(`start ${pid}`)));
    expect(again).toEqual(started);
    expect(await waitForPage()).toContain('Zero-OS');
  },
  STEP_MS,
);

test('a deployment that asks for more than a node has is refused with the numbers', async () => {
  const big = join(folder, 'big.yaml');
  const text = await run({ file: 'cat', args: [samplePath] });
  await run({
    file: 'tee',
    args: [big],
    stdin: text.replace('name: hello', 'name: big').replaceAll('memory: 32MiB', 'memory: 64GiB'),
  });
  const refusal = grid.bot.zos({ args: ['deploy', big] });
  await expect(refusal).rejects.toThrow(/64\.0 GiB of memory.*(?:MiB|GiB)/u);
});

test(
  'one flipped bit in a contract, by a directory in an attacker’s hands, is refused',
  async () => {
    const before = await readStatus();
    const [contract] = before.contracts;
    const victim = grid.nodes.find(({ id }) => id === contract?.node);
    const data = join(grid.folder, 'directory');
    await grid.directory.running.stop();
    flipBit(join(data, 'directory.sqlite'), contract?.id ?? '');
    const { hostname, port } = new URL(grid.directory.url);
    await using _directory = await startDirectory({
      root: ROOT,
      grid: GRID,
      host: hostname,
      port: Number(port),
      folder: data,
      witnesses: grid.witnesses.wishes,
      onEvent: () => {},
    });
    await victim?.guest.waitFor(/refused.*ENVELOPE_UNTRUSTED/u, STEP_MS);
    // What the node holds runs on: it was verified when it came, and is kept by the node itself.
    await sleep(3000);
    const pid = contract === undefined ? 0 : pidOf(contract);
    expect(await doorOf(victim?.id).ask(`start ${pid}`)).toMatch(/^start [1-9]\d*$/u);
  },
  STEP_MS,
);

async function inNamespace(netns: string, command: readonly string[]): Promise<string> {
  const args = ['netns', 'exec', netns, ...command];
  return run({ file: 'ip', args, deadlineMs: STEP_MS });
}

async function readStatus(): Promise<Status> {
  return askBot(grid.bot, ['status', SAMPLE.name], statusSchema);
}

function pidOf({ receipt }: Status['contracts'][number]): number {
  return receipt?.workloads.find(({ kind }) => kind === 'container')?.pid ?? 0;
}

function doorOf(node: string | undefined): Door {
  const door = doors[grid.nodes.findIndex(({ id }) => id === node)];
  if (door === undefined) throw new Error(`No door to ${node}.`);
  return door;
}

async function waitForPage(): Promise<string> {
  let page: string | undefined;
  await until(async () => {
    const args = ['logs', `${SAMPLE.name}/${SAMPLE.client}`];
    const { log } = await askBot(grid.bot, args, z.object({ log: z.string() }));
    page = firstPage(log);
    return page !== undefined;
  }, 'the client prints the page');
  return page ?? '';
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = AbortSignal.timeout(STEP_MS / 2);
  while (!(await isSo())) {
    if (deadline.aborted) throw new Error(`It did not come to this: ${what}.`);
    await sleep(500);
  }
}

/** What whoever owns the directory's database can do: change one bit of what a tenant signed. */
function flipBit(path: string, contract: string): void {
  using database = new DatabaseSync(path);
  const row = database.prepare('SELECT envelope FROM versions WHERE contract = ?').get(contract);
  const envelope = envelopeSchema.parse(JSON.parse(String(row?.['envelope'])));
  const payload = Buffer.from(envelope.payload, 'base64');
  const at = payload.indexOf('"nonce":"') + '"nonce":"'.length;
  payload[at] = (payload[at] ?? 0) ^ 1;
  const changed = JSON.stringify({ ...envelope, payload: payload.toString('base64') });
  database.prepare('UPDATE versions SET envelope = ? WHERE contract = ?').run(changed, contract);
  database.exec('UPDATE nodes SET revision = revision + 1');
}
