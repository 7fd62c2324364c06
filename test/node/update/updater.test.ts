import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { signRelease } from '../../../boot/release/metadata.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { parseBootRecord } from '../../../src/artifact/spec.ts';
import { openConsole } from '../../../src/node/bringup/console.ts';
import { openBadMarks } from '../../../src/node/update/bad-marks.ts';
import {
  argumentsFor,
  followReleases,
  type MayUpdate,
  type UpdaterParts,
} from '../../../src/node/update/updater.ts';
import { FAULTS, type Mirror, openMirror } from '../../support/release/mirror.ts';
import { makeRelease, noise, type TestRelease } from '../../support/release/release.ts';

const NOW_MS = Date.parse('2026-11-21T12:00:00Z');
const YES: MayUpdate = async () => ({ may: true, untilMs: NOW_MS });

let folder: string;
let release: TestRelease;
let lines: string[];
let ending: AbortController;
let left: number[];
let measured: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-updater-'));
  release = await makeRelease(Date.now());
  lines = [];
  left = [];
  measured = [];
  ending = new AbortController();
});

afterEach(async () => {
  ending.abort();
  await release[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test('a newer system is fetched in full, measured, and gone to', async () => {
  await using mirror = await openMirror(release.releasePath);
  const node = await startNode([mirror], YES);
  const system = await publish('system.erofs', 11);
  await until(() => left.length > 0);
  expect(left).toEqual([64]);
  expect(measured).toEqual([system]);
  const bytes = await readFile(join(folder, 'other/system.erofs'));
  expect(sha256Hex(bytes)).toBe(system);
  const record = parseBootRecord(await readFile(join(folder, 'other/boot.json')));
  expect(record).toMatchObject({ systemSha256: system, release: 'zero-os test' });
  expect(record.versions.targets).toBeGreaterThan(node.record.versions.targets);
  expect(await readdir(join(folder, 'other'))).toContain('grid.json');
});

test('a system that differs from what was signed is not gone to, and the next mirror is asked', async () => {
  await using liar = await openMirror(release.releasePath, { 'system.erofs': FAULTS.flipped });
  await using honest = await openMirror(release.releasePath);
  await startNode([liar, honest], YES);
  const system = await publish('system.erofs', 12);
  await until(() => left.length > 0);
  expect(measured).toEqual([system]);
  expect(lines.some((line) => line.includes(`trouble system.erofs from ${liar.url}`))).toBe(true);
});

test('a mirror that has only lies is left alone: nothing is gone to', async () => {
  await using liar = await openMirror(release.releasePath, { 'system.erofs': FAULTS.flipped });
  await startNode([liar], YES);
  await publish('system.erofs', 13);
  await until(() => lines.some((line) => line.includes('update failed: DIGEST_MISMATCH')));
  expect(left).toEqual([]);
  expect(await readdir(join(folder, 'other')).catch(() => [])).not.toContain('system.erofs');
});

test('an older release than what runs is refused, whoever has it', async () => {
  await using mirror = await openMirror(release.releasePath);
  const versions = { root: 1, timestamp: 7, snapshot: 7, targets: 7 };
  await startNode([mirror], YES, { versions });
  await publish('system.erofs', 14);
  await until(() => lines.some((line) => /trouble mirror .*ROLLED_BACK/u.test(line)));
  expect(left).toEqual([]);
});

test('a system that was bad here is not even fetched until somebody says so', async () => {
  await using mirror = await openMirror(release.releasePath);
  let isForgiven = false;
  const asked: unknown[] = [];
  const node = await startNode([mirror], async (wish) => {
    asked.push(wish.bad);
    if (isForgiven) return { may: true, untilMs: NOW_MS };
    return { may: false, code: 'BAD_HERE', because: 'this node found it bad', retryMs: 1 };
  });
  const sha256 = sha256Hex(noise(5000, 15));
  const mark = { what: 'system', sha256, reason: 'x', atMs: 1, policyVersion: 0 } as const;
  await node.marks.add(mark);
  await publish('system.erofs', 15);
  await until(() => lines.some((line) => line.includes('this node found it bad')));
  expect(asked[0]).toEqual([mark]);
  expect(mirror.paths).not.toContain('system.erofs');
  isForgiven = true;
  await until(() => left.length > 0);
  expect(measured).toEqual([sha256]);
});

test('a newer kernel waits for its turn, and is made ready with the farm file behind it', async () => {
  await using mirror = await openMirror(release.releasePath);
  let may = false;
  const node = await startNode([mirror], async ({ what }) => {
    if (what === 'kernel' && may) return { may: true, untilMs: NOW_MS };
    return { may: false, code: 'NO_WINDOW', because: 'the farmer signs when', retryMs: 1 };
  });
  const vmlinuz = await publish('vmlinuz', 16);
  await until(() => lines.some((line) => line.includes('the farmer signs when')));
  expect(mirror.paths).not.toContain('vmlinuz');
  may = true;
  await until(() => node.did.includes('go'));
  expect(node.did).toEqual(['ready', 'mark', 'go']);
  const initramfs = await readFile(join(release.releasePath, 'initramfs.cpio'));
  expect(measured).toEqual([vmlinuz, sha256Hex(initramfs)]);
  expect(node.ready?.append).toBe('rootfstype=ramfs lockdown=integrity');
  const first = await readFile(join(release.releasePath, 'initramfs.cpio'));
  expect(node.initramfs.subarray(0, first.length).equals(first)).toBe(true);
  expect(node.initramfs.includes('farm of a test')).toBe(true);
});

test('a kernel that the running one does not accept is gone to by a restart', async () => {
  await using mirror = await openMirror(release.releasePath);
  const node = await startNode([mirror], YES, { refusal: 'Key was rejected by service' });
  await publish('vmlinuz', 17);
  await until(() => node.did.includes('restart'));
  expect(node.did).toEqual(['ready', 'mark', 'restart']);
  expect(lines.some((line) => line.includes('by a restart: Key was rejected'))).toBe(true);
});

test('what boot loaders say of files is not for the next kernel', () => {
  const before = 'BOOT_IMAGE=(tftp)/vmlinuz initrd=initramfs.cpio quiet zos.loader=network\n';
  expect(argumentsFor(before)).toBe('quiet zos.loader=network');
});

type Node = {
  readonly marks: UpdaterParts['marks'];
  readonly record: UpdaterParts['boot']['record'];
  readonly did: string[];
  ready?: { readonly append: string };
  initramfs: Buffer;
};

type Other = { readonly versions?: Record<string, number>; readonly refusal?: string };

/** The updater of a node that runs what is released now, with real files and mirrors. */
async function startNode(
  mirrors: readonly Mirror[],
  mayUpdate: MayUpdate,
  other: Other = {},
): Promise<Node> {
  const record = await recordOfNow(other.versions);
  const marks = await openBadMarks(join(folder, 'bad.json'));
  const node: Node = { marks, record, did: [], initramfs: Buffer.alloc(0) };
  await writeFile(join(folder, 'farm.json'), 'farm of a test');
  const print = (line: string): void => void lines.push(line);
  const media = { grid: 'test', mirrors: mirrors.map(({ url }) => url), token: null, farmer: null };
  const directory = { urls: ['http://127.0.0.1:1'], identity: 'a'.repeat(64) };
  const grid = { grid: 'test', directory, record: { policy: 'quorum none\n' } };
  const parts: UpdaterParts = {
    marks,
    boot: { record, media, grid, measurements: undefined },
    root: release.root,
    supervisor: {
      otherFolder: join(folder, 'other'),
      isOnTrial: async () => false,
      prepareOther: async () => undefined,
    },
    console: openConsole({ print, sinceKernelStartMs: () => 0, before: [] }),
    chance: () => 0,
    sleep: async (_, signal) => pause(20, undefined, { signal }).catch(() => undefined),
    freeBytes: () => 1024 ** 3,
    onTrouble: (what, error) => print(`trouble ${what}: ${JSON.stringify(error)} ${String(error)}`),
    leave: (status) => {
      left.push(status);
      ending.abort();
    },
    measure: async (sha256) => void measured.push(sha256),
    kernel: doorsOf(node, other.refusal),
  };
  void followReleases(parts, mayUpdate, ending.signal);
  return node;
}

/** The boot record of a machine that booted what is released now. */
async function recordOfNow(versions?: Other['versions']): Promise<Node['record']> {
  const digestOf = async (name: string): Promise<string> =>
    sha256Hex(await readFile(join(release.releasePath, name)));
  const digests = [await digestOf('vmlinuz'), await digestOf('initramfs.cpio')];
  const record = {
    release: 'zero-os test',
    stages: [],
    mirror: 'http://127.0.0.1:1',
    systemSha256: await digestOf('system.erofs'),
    kernel: sha256Hex(Buffer.from(`${digests.join('\n')}\n`)),
    wireBytes: 0,
    reusedBytes: 0,
    versions: versions ?? { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
    rootSha256: sha256Hex(release.root),
    loader: null,
    media: 'initramfs',
    refusals: [],
  };
  return parseBootRecord(Buffer.from(JSON.stringify(record)));
}

/** What would be done to the machine is written down. */
function doorsOf(node: Node, refusal?: string): UpdaterParts['kernel'] {
  const end = (what: string) => (): void => {
    node.did.push(what);
    ending.abort();
  };
  return {
    handedOn: { 'farm.json': join(folder, 'farm.json'), extended: join(folder, 'extended') },
    commandLine: async () => 'rootfstype=ramfs lockdown=integrity initrd=initramfs.cpio\n',
    ready: async (files) => {
      node.did.push('ready');
      node.ready = files;
      node.initramfs = await readFile(files.initramfs);
      if (refusal !== undefined) throw new Error(refusal);
    },
    mark: async () => void node.did.push('mark'),
    go: end('go'),
    restart: end('restart'),
  };
}

/** Puts another file into the release, and signs it; its SHA-256. */
async function publish(name: string, seed: number): Promise<string> {
  const bytes = noise(5000, seed);
  await writeFile(join(release.releasePath, name), bytes);
  const { releasePath, keysPath } = release;
  await signRelease({ releasePath, keysPath, nowMs: Date.now() });
  return sha256Hex(bytes);
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = AbortSignal.timeout(60_000);
  while (!isSo()) {
    if (deadline.aborted) throw new Error(`It did not come to this. It said:\n${lines.join('\n')}`);
    await pause(20);
  }
}
