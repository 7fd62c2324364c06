import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkRelease, tellDirectory } from '../../boot/release/publication.ts';
import { signRelease } from '../../boot/release/metadata.ts';
import { ensureRoot } from '../../boot/release/root.ts';
import type { BootFacts } from '../../src/capacity/class.ts';
import { findOwnClass, type OwnClass } from '../../src/node/bringup/attestation.ts';
import {
  bootMachine,
  HONEST,
  type Measured,
  measuredText,
  measurementsOf,
} from '../support/tpm/machine.ts';
import { openTpmLab, type TpmLab } from '../support/tpm/software-tpm.ts';
import { type Bench, zos } from './support/captured-terminal.ts';
import { startDirectory } from './support/directory-process.ts';
import { type JoinFile, startNode } from './support/scripted-node.ts';

// The command `zos` against a real directory, nodes with real software TPMs, and a signed release.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const SHA = 'ab'.repeat(32);
const FACTS: BootFacts = { isSecureBoot: true, lockdown: 'integrity', loader: null };

const open = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), 'zos-attested-'));
let lab: TpmLab;
let bench: Bench;
let ids: Record<'honest' | 'liar' | 'plain', string>;

beforeAll(async () => {
  lab = open.use(await openTpmLab());
  const rootPath = await signTestRelease();
  const directory = open.use(await startDirectory(join(folder, 'directory'), { rootPath }));
  await publish(directory.url);
  bench = { homePath: join(folder, 'home'), directoryUrl: directory.url };
  await json('identity', 'new', '--name', 'alice');
  await json('farm', 'create', 'attic');
  const changed = [...HONEST, measuredText(11, 'another command line')];
  ids = {
    honest: await addNode(await bootOn(HONEST)),
    // It would be the first to be chosen, and says whatever gets it chosen.
    liar: await addNode({ ...(await bootOn(changed)), class: 'attested' }),
    plain: await addNode(),
  };
});
afterAll(async () => {
  await open.disposeAsync();
  rmSync(folder, { recursive: true });
});

const paths = { releasePath: join(folder, 'release'), keysPath: join(folder, 'keys') };

/** A release of small files, which says what these machines measure; the path of its root. */
async function signTestRelease(): Promise<string> {
  await lab.make();
  mkdirSync(paths.releasePath);
  for (const name of ['vmlinuz', 'initramfs.cpio', 'system.erofs']) {
    writeFileSync(join(paths.releasePath, name), name);
  }
  const measurements = measurementsOf(await lab.certificates());
  writeFileSync(join(paths.releasePath, 'measurements.json'), JSON.stringify(measurements));
  await signRelease({ ...paths, nowMs: Date.now() });
  return join(paths.keysPath, 'root.json');
}

async function publish(url: string): Promise<void> {
  const { files } = await checkRelease({ ...paths, nowMs: Date.now() });
  await tellDirectory(url, files, readFileSync(join(paths.releasePath, 'measurements.json')));
}

async function bootOn(events: readonly Measured[]): Promise<OwnClass> {
  const tpm = await lab.make();
  const machine = open.use(await bootMachine({ tpm, events }));
  await tpm[Symbol.asyncDispose]();
  const measurements = measurementsOf(await lab.certificates());
  return findOwnClass({ facts: FACTS, measurements, tpmPath: tpm.path, ...machine });
}

async function json(...args: string[]): Promise<unknown> {
  const ran = await zos(bench, ...args, '--json');
  if (ran.code !== 0) throw new Error(ran.err);
  return JSON.parse(ran.out);
}

async function addNode(own?: OwnClass): Promise<string> {
  const [join1] = (await json('farm', 'token')) as [JoinFile];
  const url = bench.directoryUrl ?? '';
  const node = open.use(
    await startNode({ url, join: join1, ...(own === undefined ? {} : { own }) }),
  );
  return node.id;
}

function writeDeployment(name: string, changes: object): string {
  const path = join(folder, `${name}.json`);
  const image = { sha256: SHA, lengthBytes: 8192, sources: ['http://192.0.2.1/a.erofs'] };
  const web = { image, args: ['/bin/web'] };
  const text = { name, duration: '1h', requires: 'attested', containers: { web }, ...changes };
  writeFileSync(path, JSON.stringify(text));
  return path;
}

test('zos verify node judges by itself, check by check, and ends with the status of the class', async () => {
  const ran = await zos(bench, 'verify', 'node', ids.honest);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.out).toMatch(/^ {2}1 {2}ok {2}the evidence has its form$/mu);
  expect(ran.out).toMatch(/^ 11 {2}ok {2}PCR 14/mu);
  expect(ran.out).toMatch(/is attested: it booted test 1 and runs system/u);
  const lie = await zos(bench, 'verify', 'node', ids.liar);
  expect(lie.code).toBe(3);
  expect(lie.out).toMatch(/^ 10 {2}NO {2}PCR 4, 7 and 11/mu);
  expect(lie.out).toMatch(/^ 11 {2}- /mu);
  expect(lie.err).toContain('PCR 11 has IPL "another command line"');
  const plain = await zos(bench, 'verify', 'node', ids.plain);
  expect(plain).toMatchObject({ code: 12 });
  expect(plain.out).toContain('It offers itself as unverified, which only it can know.');
});

test('release keys other than those that were named are refused', async () => {
  const keysPath = join(folder, 'others');
  await ensureRoot({ keysPath, nowMs: Date.now() });
  const args = ['verify', 'node', ids.honest, '--root', join(keysPath, 'root.json')];
  const ran = await zos(bench, ...args);
  expect(ran.code).toBe(3);
  expect(ran.err).toContain('not signed by enough of the keys');
});

test('what requires attested is placed on the node that proved it to this bot, and nowhere else', async () => {
  await vi.waitFor(async () => {
    const nodes = (await json('nodes')) as { id: string; class: string; provenClass: string }[];
    const seen = new Map(nodes.map((node) => [node.id, `${node.class} ${node.provenClass}`]));
    expect(seen.get(ids.honest)).toBe('attested attested');
    expect(seen.get(ids.liar)).toBe('attested verified');
    expect(seen.get(ids.plain)).toBe('unverified unverified');
  }, 60_000);
  const placed = (await json('deploy', writeDeployment('one', {}))) as { contracts: unknown };
  expect(JSON.stringify(placed)).toContain(ids.honest);
  expect(JSON.stringify(placed)).not.toContain(ids.liar);
  const pinned = writeDeployment('two', {
    containers: {
      web: {
        image: { sha256: SHA, lengthBytes: 8192, sources: ['http://192.0.2.1/a.erofs'] },
        args: ['/bin/web'],
        node: ids.plain,
      },
    },
  });
  const refused = await zos(bench, 'deploy', pinned);
  expect(refused.code).toBe(4);
  expect(refused.err).toContain('is of class unverified, as far as it could prove');
});
