import { cp, link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Directory, startDirectory } from '../../../boot/grid/directory.ts';
import type { Guest } from '../../../boot/lab/guest.ts';
import { type Lab, openLab } from '../../../boot/lab/lab.ts';
import { readKey } from '../../../boot/release/keys.ts';
import { signRelease } from '../../../boot/release/metadata.ts';
import { proposalPathOf, proposeRoot, signProposal } from '../../../boot/release/root.ts';
import { openBootServer } from '../../../boot/serve/server.ts';
import { RELEASE_FILES } from '../../../src/artifact/spec.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { DAY_MS, MINUTE_MS } from '../../../src/lib/units.ts';
import { canonicalize } from '../../support/release/canonical-json.ts';

// One machine, and a row of mirrors that lie, each in its own way. The machine has to refuse each
// by name, and to boot from the one at the end that is honest.
const ROOT = join(import.meta.dirname, '../../..');
const BOOT_MS = 15 * MINUTE_MS;
const FIRST_STAGE = join(ROOT, 'dist/work/first.erofs');
const SUPERBLOCK_BYTES = 1024;

type Lie = {
  readonly name: string;
  /** What the machine says, on its console and later in its heartbeat. */
  readonly refusal: RegExp;
  readonly file: string;
  /** What the mirror has in the place of this file; all else is as it should be. */
  readonly make: () => Promise<Uint8Array>;
  /** All else is as it was, not as it should be. */
  readonly isOld?: true;
};

const stack = new AsyncDisposableStack();
let folder: string;
let lab: Lab;
let guest: Guest;

/** In the order of the chain: what held at one mirror is not fetched from the next. */
const LIES: readonly Lie[] = [
  {
    name: 'a flipped bit in a root',
    refusal: /refused metadata\/2\.root\.json: UNTRUSTED .*signed by 0\/2 keys/u,
    file: 'metadata/2.root.json',
    make: () => flipped('metadata/1.root.json'),
  },
  {
    name: 'a root below its threshold',
    refusal: /refused metadata\/2\.root\.json: UNTRUSTED .*signed by 1\/2 keys/u,
    file: 'metadata/2.root.json',
    make: rootOfOneKey,
  },
  {
    name: 'metadata that is not JSON',
    refusal: /refused metadata\/timestamp\.json: NOT_JSON /u,
    file: 'metadata/timestamp.json',
    make: async () => utf8('<html><body>Log in to this network</body></html>'),
  },
  {
    name: 'a manifest a thousand times too big',
    refusal: /refused metadata\/timestamp\.json: HTTP_TOO_LONG .*more than the 16384 bytes/u,
    file: 'metadata/timestamp.json',
    make: async () => utf8((await honest('metadata/timestamp.json')).toString().padEnd(600_000)),
  },
  {
    name: 'an unknown key',
    refusal: /refused metadata\/timestamp\.json: UNTRUSTED .*signed by 0\/1 keys/u,
    file: 'metadata/timestamp.json',
    make: () => readFile(join(folder, 'stranger/metadata/timestamp.json')),
  },
  {
    name: 'a wrong signer',
    refusal: /refused metadata\/timestamp\.json: UNTRUSTED .*signed by 0\/1 keys/u,
    file: 'metadata/timestamp.json',
    make: timestampByTargets,
  },
  {
    name: 'a flipped bit in timestamp.json',
    refusal: /refused metadata\/timestamp\.json: UNTRUSTED .*signed by 0\/1 keys/u,
    file: 'metadata/timestamp.json',
    make: () => flipped('metadata/timestamp.json'),
  },
  {
    name: 'a mirror that froze, past its expiry',
    refusal: /refused metadata\/timestamp\.json: EXPIRED It was good until \d{4}-/u,
    file: 'metadata/timestamp.json',
    make: () => readFile(join(folder, 'old/metadata/timestamp.json')),
    isOld: true,
  },
  {
    name: 'a flipped bit in snapshot.json',
    refusal: /refused metadata\/snapshot\.json: (?:DIGEST_MISMATCH|UNTRUSTED) /u,
    file: 'metadata/snapshot.json',
    make: () => flipped('metadata/snapshot.json'),
  },
  {
    name: 'a flipped bit in targets.json',
    refusal: /refused metadata\/targets\.json: (?:DIGEST_MISMATCH|UNTRUSTED) /u,
    file: 'metadata/targets.json',
    make: () => flipped('metadata/targets.json'),
  },
  {
    name: 'a timestamp older than one that was seen',
    refusal: /refused metadata\/timestamp\.json: ROLLED_BACK .*version 1 is less than/u,
    file: 'metadata/timestamp.json',
    make: () => readFile(join(folder, 'old/metadata/timestamp.json')),
  },
  {
    name: 'a flipped bit in grid.json',
    refusal: /refused grid\.json: DIGEST_MISMATCH /u,
    file: 'grid.json',
    make: () => flipped('grid.json'),
  },
  {
    name: 'a flipped bit in system.erofs',
    refusal: /refused system\.erofs: DIGEST_MISMATCH /u,
    file: 'system.erofs',
    make: () => flipped('system.erofs'),
  },
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-tamper-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await cp(join(ROOT, 'dist/keys'), join(folder, 'keys'), { recursive: true });
  lab = stack.use(await openLab({ name: 'tamper', accelerator: 'tcg' }));
  const { address } = lab;
  // The machine remembers nothing: without a directory that tells what is newest it would wait.
  const at = { root: ROOT, grid: 'lab', host: address, port: 8080, onEvent: () => {} };
  const directory = await startDirectory({ ...at, folder: join(folder, 'directory') });
  stack.use(directory);
  await makeReleases(directory);
  const farm = { grid: 'lab', farmer: null, tokens: [], mirrors: [] };
  const paths: string[] = [];
  for (const [index, lie] of LIES.entries()) paths.push(await tellLie(`liar-${index}`, lie));
  const [firstPath, ...rest] = [...paths, join(folder, 'honest')];
  const mirrors: string[] = [];
  for (const releasePath of rest) {
    const mirror = await openBootServer({ address, releasePath, farm });
    mirrors.push(stack.use(mirror).url);
  }
  // The machine boots from the first liar: kernel and first stage are whole there.
  const consoles = ['console=ttyS0,115200'];
  const first = await openBootServer({
    address,
    consoles,
    releasePath: firstPath,
    farm: { ...farm, mirrors },
  });
  await lab.startDhcp({ scriptUrl: stack.use(first).scriptUrl });
  guest = await lab.startGuest({ name: 'victim', mac: '52:54:00:5a:01:01', memoryMiB: 1024 });
  await guest.waitFor(/zos: agent /u, BOOT_MS);
}, BOOT_MS);

afterAll(async () => {
  await stack.disposeAsync();
}, MINUTE_MS);

test.each(LIES.map((lie): [string, Lie] => [lie.name, lie]))(
  '%s is refused by name, and the next mirror is tried',
  (_name, { refusal }) => {
    expect(textsOf(guest).join('\n')).toMatch(refusal);
  },
);

test('nothing of a refused piece ran: the agent came after the honest mirror, and only then', () => {
  const lines = textsOf(guest);
  const agent = lines.findIndex((text) => text.includes('zos: agent '));
  const verified = lines.findIndex((text) => text.includes('zos: boot verified'));
  const refusals = lines.flatMap((text, at) => (text.includes('boot refused') ? [at] : []));
  expect(refusals.length).toBe(LIES.length);
  expect(Math.max(...refusals)).toBeLessThan(verified);
  expect(verified).toBeLessThan(agent);
});

function textsOf({ lines }: Guest): readonly string[] {
  return lines.map(({ text }) => text);
}

/** An old release, the newest one, whose grid is another, and one by keys of somebody else. */
async function makeReleases({ url, identity, policy }: Directory): Promise<void> {
  const nowMs = Date.now();
  const gridOf = (...urls: string[]): string =>
    JSON.stringify({ grid: 'lab', directory: { urls, identity }, record: { policy } });
  const sign = async (name: string, keys: string, whenMs: number): Promise<void> => {
    const [releasePath, keysPath] = [join(folder, name), join(folder, keys)];
    await signRelease({ releasePath, keysPath, firstStagePath: FIRST_STAGE, nowMs: whenMs });
  };
  const old = join(folder, 'old');
  await mkdir(old);
  for (const file of RELEASE_FILES) {
    if (file === 'grid.json') await writeFile(join(old, file), gridOf(url));
    else await link(join(ROOT, 'dist/release', file), join(old, file)).catch(() => {});
  }
  await copyRelease('old', 'stranger');
  await sign('old', 'keys', nowMs - 40 * DAY_MS);
  const grid = join(await copyRelease('old', 'honest'), 'grid.json');
  await rm(grid);
  await writeFile(grid, gridOf(url, url));
  await sign('honest', 'keys', nowMs);
  await sign('stranger', 'stranger-keys', nowMs);
}

async function copyRelease(from: string, to: string): Promise<string> {
  const [source, target] = [join(folder, from), join(folder, to)];
  await mkdir(join(target, 'metadata'), { recursive: true });
  for (const entry of await readdir(source, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    await link(path, path.replace(source, target));
  }
  return target;
}

async function tellLie(name: string, { file, make, isOld }: Lie): Promise<string> {
  const path = await copyRelease(isOld === true ? 'old' : 'honest', name);
  const bytes = await make();
  await rm(join(path, file), { force: true });
  await writeFile(join(path, file), bytes);
  return path;
}

async function honest(file: string): Promise<Buffer> {
  return readFile(join(folder, 'honest', file));
}

/**
 * One bit of metadata: in a digit of the year in which it expires, still well-formed, so that only
 * signatures tell. Of an image: in its head, since much of the rest is never fetched.
 */
async function flipped(file: string): Promise<Uint8Array> {
  const bytes = await honest(file);
  const year = bytes.indexOf('"expires"');
  const at = year < 0 ? SUPERBLOCK_BYTES % bytes.length : bytes.indexOf('20', year) + 3;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

async function rootOfOneKey(): Promise<Uint8Array> {
  const keysPath = join(folder, 'rotated-keys');
  await cp(join(folder, 'keys'), keysPath, { recursive: true });
  await proposeRoot({ keysPath, role: 'timestamp', nowMs: Date.now() });
  await signProposal({ keysPath, keyPath: join(keysPath, 'root-2.key') });
  return readFile(proposalPathOf(keysPath));
}

/** The key that may sign targets, and nothing else. */
async function timestampByTargets(): Promise<Uint8Array> {
  const { signed } = JSON.parse((await honest('metadata/timestamp.json')).toString()) as {
    signed: unknown;
  };
  const { sign } = await readKey(join(folder, 'keys/targets.key'));
  const { keyID: keyid, sig } = sign(utf8(canonicalize(signed)));
  return utf8(JSON.stringify({ signatures: [{ keyid, sig }], signed }));
}
