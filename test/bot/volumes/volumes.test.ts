import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { compileContracts } from '../../../src/bot/deployment/compile.ts';
import { planPlacement } from '../../../src/bot/deployment/plan.ts';
import { sealBodies } from '../../../src/bot/deployment/secrets.ts';
import { parseDeployment } from '../../../src/bot/deployment/source.ts';
import type { ContainerWish } from '../../../src/bot/deployment/spec.ts';
import { BotError } from '../../../src/bot/errors.ts';
import { pinnedBy, refuseLoss, standingVolumes } from '../../../src/bot/volumes/standing.ts';
import { forgetVolumeKeys, volumeKeys } from '../../../src/bot/volumes/store.ts';
import {
  openSecret,
  readBody,
  volumeBindingOf,
  volumeSecretKey,
} from '../../../src/contract/checks/body.ts';
import { type Contract, contractSchema } from '../../../src/contract/spec.ts';
import { makeSecretKeys } from '../../../src/identity/keys.ts';
import { GiB, MiB } from '../../../src/lib/units.ts';
import { GRID, makePerson, OFFER_ID, PRICES } from '../../support/contracts.ts';
import { candidate } from '../deployment/wishes.ts';

const TENANT = makePerson('tenant');
const NODE = makeSecretKeys();
const A = 'a'.repeat(64);

const FILE = `name: shop
duration: 24h
volumes:
  data: { size: 1GiB }
  log: { size: 64MiB, class: hdd, format: raw }
containers:
  db:
    image: { sha256: ${'1f'.repeat(32)}, lengthBytes: 4096, sources: [http://192.0.2.1/db] }
    args: [/bin/db]
    volumes: { data: /run/data, log: /dev/log0 }
`;

function compiled(text: string, body: string | null = 'b'.repeat(64)): Contract {
  const deployment = parseDeployment('shop.yaml', text);
  const [contract] = compileContracts({
    deployment,
    placement: new Map(deployment.containers.map(({ name }) => [name, A])),
    grid: GRID,
    tenant: TENANT.id,
    offers: new Map([[A, { id: OFFER_ID, prices: PRICES }]]),
    bodies: new Map(body === null ? [] : [[A, body]]),
    held: new Map(),
    nonces: new Map([[A, '01'.repeat(16)]]),
    nowMs: 1_800_000_000_000,
  });
  return contractSchema.parse(contract);
}

function faultOf(work: () => unknown): string {
  try {
    work();
    return 'no fault';
  } catch (error) {
    return error instanceof BotError ? `${error.code} ${error.message}` : String(error);
  }
}

test('a volume of a deployment file is one of the contract, and is paid for', () => {
  const { workloads, resources } = compiled(FILE);
  const [data, log, db] = workloads;
  expect(data).toEqual({
    kind: 'volume',
    name: 'data',
    class: 'ssd',
    format: 'ext4',
    lengthBytes: GiB,
  });
  expect(log).toMatchObject({ class: 'hdd', format: 'raw', lengthBytes: 64 * MiB });
  expect(db).toMatchObject({
    volumes: [
      { volume: 'data', path: '/run/data' },
      { volume: 'log', path: '/dev/log0' },
    ],
  });
  // Each with the MiB that its encryption takes.
  expect(resources).toMatchObject({ ssdBytes: 4096 + GiB + MiB, hddBytes: 65 * MiB });
});

test.each([
  ['one that is not there', 'data: /run/data', 'dta: /run/data', 'there is no "dta" under volumes'],
  ['one that is shorter than its format', '1GiB', '8MiB', 'ext4 needs 16.0 MiB at least'],
  ['a raw one as a folder', '/dev/log0', '/run/log', 'a raw one is at /dev/NAME'],
  ['the place of something else', '/run/data', '/proc', 'is the place of something else'],
])('%s is told where it stands', (...[, from, to, told]) => {
  expect(faultOf(() => parseDeployment('shop.yaml', FILE.replace(from, to)))).toContain(told);
});

test('two containers never have one volume', () => {
  const db = FILE.slice(FILE.indexOf('  db:'));
  const text = FILE + db.replace('db:', 'other:');
  const fault = faultOf(() => parseDeployment('shop.yaml', text));
  expect(fault).toContain('container db has it already; give each its own');
});

test('data is never erased in passing, shrunk or turned into something else', () => {
  const held = [{ node: A, workloads: compiled(FILE).workloads }];
  const standing = standingVolumes(held);
  const after = (from: string, to: string, erase: readonly string[] = []): string =>
    faultOf(() => refuseLoss(standing, [compiled(FILE.replace(from, to))], erase));
  expect(after('size: 1GiB', 'size: 2GiB')).toBe('no fault');
  expect(after('size: 1GiB', 'size: 512MiB')).toContain("1.0 GiB and can't shrink to 512.0 MiB");
  expect(after('size: 1GiB', 'size: 1GiB, format: xfs')).toContain("can't become xfs on ssd");
  const without = FILE.replace(/ {2}log: .*\n/u, '').replace(', log: /dev/log0', '');
  const gone = (erase: readonly string[]): string =>
    faultOf(() => refuseLoss(standing, [compiled(without)], erase));
  expect(gone([])).toBe(
    'VOLUME_LOST Volume log on node aaaaaaaaaa would be erased with all that is in it; ' +
      'keep it in the file, or say --erase log.',
  );
  expect(gone(['log'])).toBe('no fault');
  // The whole contract would go with its node.
  expect(faultOf(() => refuseLoss(standing, [], []))).toContain('would be erased');
});

test('a container goes where its data is, or nowhere', () => {
  const { containers } = parseDeployment('shop.yaml', FILE);
  const standing = standingVolumes([{ node: A, workloads: compiled(FILE).workloads }]);
  const pinned = pinnedBy(containers, standing);
  const roomy = (digit: string) => {
    const { node, free } = candidate(digit, 2 * GiB);
    return { node, free: { ...free, hddBytes: GiB } };
  };
  const place = (digits: string) => () =>
    planPlacement({
      containers,
      apart: [],
      candidates: digits.split('').map(roomy),
      stay: new Map(),
      pinned,
    }).get('db');
  expect(place('cba')()).toBe(A);
  expect(faultOf(place('cb'))).toContain('has its volumes on node aaaaaaaaaa, which is not online');
});

test('keys are made once, kept for their owner alone, sealed for one node, and forgotten', async () => {
  const path = await mkdtemp(join(tmpdir(), 'zos-volumes-'));
  onTestFinished(async () => rm(path, { recursive: true, force: true }));
  const home = { path };
  const deployment = parseDeployment('shop.yaml', FILE);
  const keys = await volumeKeys(home, deployment, []);
  expect([...keys.values()].map(({ length }) => length)).toEqual([64, 64]);
  const standing = standingVolumes([{ node: A, workloads: compiled(FILE).workloads }]);
  expect(await volumeKeys(home, deployment, standing)).toEqual(keys);
  const file = join(path, 'volume-keys/shop.json');
  expect((await stat(file)).mode % 0o1000).toBe(0o600);

  const body = sealBodies({
    deployment,
    placement: new Map([['db', A]]),
    grid: GRID,
    tenant: TENANT.id,
    values: new Map(),
    volumeKeys: keys,
    sealingKeys: new Map([[A, NODE.sealing.publicKey]]),
    sealerSecret: TENANT.keys.sealing.secretKey,
    salts: new Map([[A, '5a'.repeat(32)]]),
  }).get(A);
  const { secrets } = readBody(body?.text ?? '', body?.digest ?? '');
  const place = { grid: GRID, tenant: TENANT.id, node: A, name: 'data' };
  const sealed = secrets[volumeSecretKey('data')] ?? '';
  const binding = volumeBindingOf(place);
  expect(openSecret(NODE.sealing.secretKey, { sealed, binding })).toEqual(keys.get('data'));

  const [db] = deployment.containers;
  const logs = { ...db, volumes: db?.volumes.filter(({ name }) => name === 'log') ?? [] };
  await forgetVolumeKeys(home, 'shop', { containers: [logs as ContainerWish] });
  expect(Object.keys(JSON.parse(await readFile(file, 'utf8')) as object)).toEqual(['log']);
  await expect(volumeKeys(home, deployment, standing)).rejects.toThrow(
    'The key of volume data is not here',
  );
});
