import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { GiB } from '../../src/lib/units.ts';
import { type Bench, type Ran, zos } from './support/captured-terminal.ts';
import {
  type DirectoryProcess,
  refuseSecondContract,
  startDirectory,
} from './support/directory-process.ts';
import { type JoinFile, type NodeWish, startNode } from './support/scripted-node.ts';

const SHA = 'ab'.repeat(32);
const IMAGE = `{ sha256: "${SHA}", lengthBytes: 8192, sources: ['http://192.0.2.1/a.erofs'] }`;
const HELLO = `name: hello
duration: 24h
networks: { net: {} }
containers:
  web: { image: ${IMAGE}, args: [/bin/web], network: net }
  client: { image: ${IMAGE}, args: [/bin/client], network: net }
apart: [web, client]
`;

// Real processes on a machine that may be busy with a virtual one.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let directory: DirectoryProcess;
let folder = '';
let open: AsyncDisposableStack;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-deploy-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let bench: Bench;
let count = 0;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  count += 1;
  const here = join(folder, String(count));
  directory = open.use(await startDirectory(join(here, 'directory')));
  bench = { homePath: join(here, 'home'), directoryUrl: directory.url };
  await done(zos(bench, 'identity', 'new', '--name', 'alice'));
  await done(zos(bench, 'farm', 'create', 'attic'));
});
afterEach(async () => open.disposeAsync());

async function done(run: Promise<Ran>): Promise<Ran> {
  const ran = await run;
  if (ran.code !== 0) throw new Error(ran.err);
  return ran;
}

async function json(...args: string[]): Promise<unknown> {
  return JSON.parse((await done(zos(bench, ...args, '--json'))).out);
}

async function addNode(wish: Omit<NodeWish, 'url' | 'join'> = {}): Promise<string> {
  const [token] = (await json('farm', 'token')) as [JoinFile];
  const node = open.use(await startNode({ url: directory.url, join: token, ...wish }));
  return node.id;
}

function write(text: string): string {
  const path = join(folder, `${count}.yaml`);
  writeFileSync(path, text);
  return path;
}

/** Ids and times are other ones in every run. */
function steady(text: string): string {
  return text
    .replaceAll(/\bfd[0-9a-f]{2}:[0-9a-f:]+/g, 'ADDRESS')
    .replaceAll(/\b[0-9a-f]{10}\b/g, 'ID')
    .replaceAll(/\b23 h 59 min/g, 'TIME')
    .replaceAll(/\b\d+(?:\.\d)? s\b/g, 'TIME')
    .replaceAll(/ {2,}/g, '  ');
}

test('two containers on two nodes: deployed, shown, read, cancelled', async () => {
  await addNode({ log: 'GET / 200\n\u001B[31mred\n' });
  await addNode({ log: 'GET / 200\n\u001B[31mred\n' });
  const nodes = await done(zos(bench, 'nodes'));
  expect(nodes.out).toMatch(/online {2}2 of 2 +1\.0 GiB of 1\.0 GiB/);

  const deployed = await done(zos(bench, 'deploy', write(HELLO)));
  await expect(steady(deployed.out)).toMatchFileSnapshot('../golden/bot/deployed.txt');
  expect(steady(deployed.err)).toMatch(/running {2}container web/);
  expect(steady(deployed.err)).toMatch(/running {2}container client/);

  const status = await done(zos(bench, 'status', 'hello'));
  await expect(steady(status.out)).toMatchFileSnapshot('../golden/bot/status.txt');

  const logs = await done(zos(bench, 'logs', 'hello/web'));
  expect(logs.out).toBe('GET / 200\n\uFFFD[31mred\n');

  expect((await done(zos(bench, 'deployments'))).out).toContain('hello');
  const cancelled = await done(zos(bench, 'cancel', 'hello'));
  expect(cancelled.out).toMatch(/^hello \([0-9a-f]{10}\) ended\.\n$/);
  expect((await done(zos(bench, 'deployments'))).out).toContain('Nothing is deployed');
  expect(await zos(bench, 'status', 'hello')).toMatchObject({ code: 2 });
});

test('a dry run sends nothing', async () => {
  await addNode();
  await addNode();
  const dry = await done(zos(bench, 'deploy', write(HELLO), '--dry-run'));
  expect(dry.out).toContain('Nothing was sent');
  expect(await json('deployments')).toEqual([]);
});

test('what fits on no node is refused with the numbers, and nothing is sent', async () => {
  await addNode({ memoryBytes: Math.floor(1.2 * GiB) });
  const text = HELLO.replace('args: [/bin/web]', 'args: [/bin/web], memory: 4GiB');
  const ran = await zos(bench, 'deploy', write(text));
  expect(ran.code).toBe(4);
  expect(ran.err).toBe(
    'zos: container web asks for 4.0 GiB of memory; the node with most free has 1.2 GiB. ' +
      'Ask for less, or wait until something ends.\n',
  );
  expect(await json('deployments')).toEqual([]);
});

test('deploying the same name again makes the next version where containers stay', async () => {
  await addNode();
  await addNode();
  await done(zos(bench, 'deploy', write(HELLO)));
  const before = (await json('status', 'hello')) as Status;
  await done(zos(bench, 'deploy', write(HELLO.replace('/bin/web', '/bin/other'))));
  const after = (await json('status', 'hello')) as Status;
  expect(after.contracts.map(({ version }) => version)).toEqual([2, 2]);
  const ids = (status: Status): string[] => status.contracts.map(({ id }) => id).sort();
  expect(ids(after)).toEqual(ids(before));
  expect(after.containers.map(({ node }) => node)).toEqual(
    before.containers.map(({ node }) => node),
  );
});

test('a container that is taken out of the file ends on its node', async () => {
  await addNode();
  await addNode();
  await done(zos(bench, 'deploy', write(HELLO)));
  const alone = HELLO.replace(/ {2}client:.*\n/, '').replace(/apart.*\n/, '');
  await done(zos(bench, 'deploy', write(alone)));
  const status = (await json('status', 'hello')) as Status;
  expect(status.containers.map(({ container }) => container)).toEqual(['web']);
  expect(status.contracts).toHaveLength(1);
  expect(await json('deployments')).toMatchObject([{ contracts: [status.contracts[0]?.id] }]);
});

test('a container that fails is told with the reason, and status says so too', async () => {
  const script: NodeWish['script'] = (name, asked) => {
    if (name === 'client') return { state: 'running', because: '' };
    if (asked < 1) return { state: 'waiting', because: 'waits for image-fetched' };
    return { state: 'failed', because: 'exited with status 1' };
  };
  await addNode({ script });
  await addNode({ script });
  const ran = await zos(bench, 'deploy', write(HELLO));
  expect(ran.code).toBe(1);
  expect(ran.err).toContain(
    'zos: container web failed: exited with status 1. Read `zos logs hello/web`',
  );
  const status = (await json('status', 'hello')) as Status;
  expect(status.containers.find(({ container }) => container === 'web')).toMatchObject({
    state: 'failed',
    because: 'exited with status 1',
  });
});

test('what a node refuses is told with the node, the reason and the code', async () => {
  await addNode({ refuses: true });
  const alone = HELLO.replace(/ {2}client:.*\n/, '').replace(/apart.*\n/, '');
  const ran = await zos(bench, 'deploy', write(alone));
  expect(ran.code).toBe(3);
  expect(ran.err).toMatch(
    /zos: Node [0-9a-f]{10} refused its contract: It rains in here\. \(UNEXPECTED\)\n$/,
  );
});

test('when the second contract is not admitted, the first is taken back', async () => {
  await addNode();
  await addNode();
  const proxy = open.use(await refuseSecondContract(directory.url));
  const ran = await zos({ ...bench, directoryUrl: proxy.url }, 'deploy', write(HELLO));
  expect(ran.code).toBe(4);
  expect(ran.err).toMatch(/cancelled {2}node [0-9a-f]{10}\nzos: No room in the inn\.\n$/);
  await expect.poll(async () => json('deployments'), { timeout: 60_000 }).toEqual([]);
});

test('what the directory forgot can be forgotten here', async () => {
  await addNode();
  const alone = HELLO.replace(/ {2}client:.*\n/, '').replace(/apart.*\n/, '');
  await done(zos(bench, 'deploy', write(alone)));
  const folderOf = join(bench.homePath, 'deployments');
  const [name = ''] = readdirSync(folderOf);
  const path = join(folderOf, name);
  const saved = JSON.parse(readFileSync(path, 'utf8')) as { contracts: string[] };
  writeFileSync(path, JSON.stringify({ ...saved, contracts: ['ab'.repeat(32)] }));
  const again = await zos(bench, 'deploy', write(alone));
  expect(again).toMatchObject({ code: 3, err: expect.stringContaining('zos cancel NAME') });
  const ended = await done(zos(bench, 'cancel', 'hello'));
  expect(ended.err).toContain('knows no contract ababababab');
  expect(readdirSync(folderOf)).toEqual([]);
});

test('a lost memory is found again at the directory, by contract', async () => {
  await addNode();
  const alone = HELLO.replace(/ {2}client:.*\n/, '').replace(/apart.*\n/, '');
  await done(zos(bench, 'deploy', write(alone)));
  rmSync(join(bench.homePath, 'deployments'), { recursive: true });
  const [lost] = (await json('deployments')) as [{ id: string; contracts: string[] }];
  expect(lost.contracts).toHaveLength(1);
  expect((await done(zos(bench, 'status', lost.id))).out).toContain('web');
  await done(zos(bench, 'cancel', lost.id));
  expect(await json('deployments')).toEqual([]);
});

test('another directory than the one that was pinned is refused', async () => {
  const other = open.use(await startDirectory(join(folder, `${count}-other`), { grid: 'other' }));
  const ran = await zos({ ...bench, directoryUrl: other.url }, 'nodes');
  expect(ran.code).toBe(3);
  expect(ran.err).toContain('is not the one that this bot knows');
});

test('a directory that is not there is told in a sentence', async () => {
  const ran = await zos({ ...bench, directoryUrl: 'http://127.0.0.1:1' }, 'nodes');
  expect(ran.code).toBe(5);
  expect(ran.err).toMatch(/^zos: http:\/\/127\.0\.0\.1:1\/v1\/grid can't be reached/);
});

test('Ctrl-C while waiting says what goes on and how to end it', async () => {
  await addNode({ script: () => ({ state: 'waiting', because: 'waits for clock-synced' }) });
  await addNode({ script: () => ({ state: 'waiting', because: 'waits for clock-synced' }) });
  const stop = new AbortController();
  const running = zos({ ...bench, signal: stop.signal }, 'deploy', write(HELLO));
  await expect.poll(async () => json('deployments'), { timeout: 60_000 }).toHaveLength(1);
  stop.abort();
  const ran = await running;
  expect(ran.code).toBe(130);
  expect(ran.err).toMatch(/hello goes on\. See `zos status hello`/);
});

type Status = {
  containers: { container: string; node: string; state: string; because: string }[];
  contracts: { id: string; version: number }[];
};
