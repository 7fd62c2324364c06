import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Bench, type Ran, zos } from '../support/captured-terminal.ts';
import { type DirectoryProcess, startDirectory } from '../support/directory-process.ts';
import { type JoinFile, startNode } from '../support/scripted-node.ts';

// Real processes, and many commands one after the other.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WEB = `name: web
duration: 24h
containers:
  web:
    image: { sha256: "${'ab'.repeat(32)}", lengthBytes: 8192, sources: ['http://192.0.2.1/a'] }
    args: [/bin/web]
`;

let folder = '';
let open: AsyncDisposableStack;
let directory: DirectoryProcess;
const ids = new Map<string, string>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-team-'));
  open = new AsyncDisposableStack();
  directory = open.use(await startDirectory(join(folder, 'directory')));
  for (const name of ['alice', 'bob', 'carol']) {
    const made = await json(name, 'identity', 'new', '--name', name);
    ids.set(name, (made as { id: string }).id);
    // Whoever does something at the directory is known there.
    await json(name, 'farm', 'create', `${name}-farm`);
  }
  const [token] = (await json('alice', 'farm', 'token')) as [JoinFile];
  open.use(await startNode({ url: directory.url, join: token }));
  writeFileSync(join(folder, 'web.yaml'), WEB);
});
afterEach(async () => {
  await open.disposeAsync();
  rmSync(folder, { recursive: true });
});

function bench(name: string): Bench {
  return { homePath: join(folder, name), directoryUrl: directory.url };
}

async function json(who: string, ...args: string[]): Promise<unknown> {
  const ran: Ran = await zos(bench(who), ...args, '--json');
  if (ran.code !== 0) throw new Error(ran.err);
  return JSON.parse(ran.out) as unknown;
}

async function makeTeam(threshold: string): Promise<string> {
  const others = ['bob', 'carol'].flatMap((name) => ['--member', ids.get(name) ?? '']);
  const wish = ['team', 'new', 'ops', ...others, '--threshold', threshold];
  const { id } = (await json('alice', ...wish)) as { id: string };
  for (const name of ['bob', 'carol']) await json(name, 'team', 'join', id);
  return id;
}

test('any member of a team of one deploys for it, and any other ends that', async () => {
  await makeTeam('1');
  await json('alice', '--team', 'ops', 'deploy', join(folder, 'web.yaml'));
  const own = await zos(bench('bob'), 'status', 'web');
  expect(own).toMatchObject({ code: 2 });
  const { id } = (await json('alice', '--team', 'ops', 'status', 'web')) as { id: string };
  expect(id).toMatch(/^[0-9a-f]{10}$/);
  const [contract] = contractsOf('alice');
  const ended = await zos(bench('bob'), '--team', 'ops', 'cancel', contract?.slice(0, 12) ?? '');
  expect(ended).toMatchObject({ code: 0 });
});

function contractsOf(who: string): string[] {
  const path = join(folder, who, 'teams/ops/deployments');
  const [file = ''] = readdirSync(path);
  return (JSON.parse(readFileSync(join(path, file), 'utf8')) as { contracts: string[] }).contracts;
}

test('two of three: one signs to a file, the next signs and sends, and so it ends', async () => {
  await makeTeam('2');
  const part = join(folder, 'web.part');
  const bare = await zos(bench('alice'), '--team', 'ops', 'deploy', join(folder, 'web.yaml'));
  expect(bare).toMatchObject({ code: 2, err: expect.stringContaining('needs 2 signatures') });
  const first = await zos(
    bench('alice'),
    '--team',
    'ops',
    'deploy',
    join(folder, 'web.yaml'),
    '--out',
    part,
  );
  expect(first.out).toContain('Signed by alice: 1 of 2.');
  // Once more by the same member is no second signature.
  expect((await zos(bench('alice'), '--team', 'ops', 'sign', part)).out).toContain('1 of 2');
  const second = await zos(bench('carol'), '--team', 'ops', 'sign', part);
  expect(second.out).toMatch(/run web .*version 1 +alice, carol/);
  expect(second.out).toContain('it is sent');
  await vi.waitFor(
    async () => {
      const status = await zos(bench('bob'), '--team', 'ops', 'status', contractIn(part));
      expect(status.out).toContain('running');
    },
    { timeout: 60_000, interval: 300 },
  );
  const end = join(folder, 'end.part');
  await json('carol', '--team', 'ops', 'cancel', 'web', '--out', end);
  expect((await zos(bench('bob'), '--team', 'ops', 'sign', end)).out).toContain('it is sent');
});

function contractIn(part: string): string {
  const { items } = JSON.parse(readFileSync(part, 'utf8')) as {
    items: { envelope: { payload: string } }[];
  };
  const payload = Buffer.from(items[0]?.envelope.payload ?? '', 'base64');
  return createHash('sha256').update(payload).digest('hex').slice(0, 12);
}

test('a file of another team, or one that was changed, is not signed or not taken', async () => {
  await makeTeam('2');
  await json('bob', 'team', 'new', 'lone', '--threshold', '1');
  const part = join(folder, 'web.part');
  await json('alice', '--team', 'ops', 'deploy', join(folder, 'web.yaml'), '--out', part);
  expect(await zos(bench('bob'), '--team', 'lone', 'sign', part)).toMatchObject({
    code: 2,
    err: expect.stringContaining('another team'),
  });
  writeFileSync(part, '{}');
  expect(await zos(bench('bob'), '--team', 'ops', 'sign', part)).toMatchObject({ code: 2 });
});

test('members come and go where the team was made, and nowhere else', async () => {
  const id = await makeTeam('2');
  await json('alice', 'team', 'remove', 'ops', (ids.get('carol') ?? '').slice(0, 12));
  expect(await json('bob', 'team', 'show', 'ops')).toMatchObject({
    id,
    threshold: 2,
    members: [{ name: 'alice' }, { name: 'bob' }],
  });
  expect(await zos(bench('bob'), 'team', 'add', 'ops', ids.get('carol') ?? '')).toMatchObject({
    code: 2,
    err: expect.stringContaining('where it was made'),
  });
  const added = ['team', 'add', 'ops', ids.get('carol') ?? '', '--threshold', '3'];
  expect(await json('alice', ...added)).toMatchObject({ threshold: 3 });
});
