import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parseBootMedia } from '../../src/artifact/spec.ts';
import type { JoinFile } from '../../src/bot/farm/farm.ts';
import { utf8 } from '../../src/lib/bytes.ts';
import { settingsOfMedia } from '../../src/uplink/verify.ts';
import { type Bench, type Ran, zos } from './support/captured-terminal.ts';
import { type DirectoryProcess, startDirectory } from './support/directory-process.ts';

// Real processes on a machine that may be busy with a virtual one.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const RELEASE = 'ab'.repeat(32);

let folder = '';
let directory: DirectoryProcess;
let bench: Bench;
const farm = async (...args: string[]): Promise<Ran> => zos(bench, 'farm', ...args);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zos-farm-'));
  directory = await startDirectory(join(folder, 'directory'));
  bench = { homePath: join(folder, 'home'), directoryUrl: directory.url };
  await zos(bench, 'identity', 'new');
  await farm('create', 'attic');
});
afterAll(async () => {
  await directory[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('a farm whose farmer signed nothing yet says what that means', async () => {
  expect(await farm('updates')).toEqual({
    code: 0,
    err: '',
    out:
      'Farm:    attic, nodes: 0\n' +
      'Window:  none signed: nodes update in place at any time, and no machine restarts for an ' +
      'update\n' +
      'Share:   1 at a time\n\nNo node has asked to change to another release yet.\n',
  });
});

test('window and share are signed, one after the other, and stay', async () => {
  const first = await farm('updates', '--window', 'Sat,Sun 22:00-02:00');
  expect(first.out).toMatch(/Window: {2}Sat,Sun 22:00-02:00 UTC, (?:opens in|open for) /u);
  const second = await farm('updates', '--share', '25%', '--json');
  const { policy } = JSON.parse(second.out) as { policy: unknown };
  expect(policy).toMatchObject({
    version: 2,
    window: { days: ['sat', 'sun'], startMinute: 1320, lengthMinutes: 240 },
    sharePercent: 25,
  });
});

test('a release is stopped and goes on by its first digits, and by a signed word', async () => {
  expect((await farm('rollout', 'stop', RELEASE)).out).toContain('is stopped in farm attic');
  const stopped = JSON.parse((await farm('updates', '--json')).out) as { policy: unknown };
  expect(stopped.policy).toMatchObject({ stopped: [RELEASE], forgiven: [] });
  expect(await farm('rollout', 'resume', 'abab', '--json')).toMatchObject({ code: 0 });
  const resumed = JSON.parse((await farm('updates', '--json')).out) as { policy: unknown };
  const { version } = resumed.policy as { version: number };
  expect(resumed.policy).toMatchObject({ stopped: [], forgiven: [{ release: RELEASE, version }] });
});

test.each([
  [['updates', '--window', 'Sonntag'], /"Sonntag" is no window; write one such as "Sun 02:00-05:/],
  [['updates', '--share', '0%'], /"0%" is no share; write one from 1% to 100%/],
  [['updates', '--share', 'all'], /"all" is no share/],
  [['rollout', 'resume', 'ffff'], /No release of this farm begins with "ffff"; `zos farm updates`/],
  [['updates', '--farm', 'cellar'], /There is no farm cellar; say which with --farm: attic/],
])('%j is told with status 2', async (args, sentence) => {
  const ran = await farm(...args);
  expect(ran.err).toMatch(sentence);
  expect(ran).toMatchObject({ code: 2, out: '' });
});

test('place, prices and payout are signed, one after the other, and stay', async () => {
  expect((await farm('terms')).out).toBe(
    'Farm attic has no terms: its place is not told, and its capacity is free.\n',
  );
  await farm('terms', '--country', 'be', '--city', 'Ghent', '--at', '51.05,3.72');
  const { out } = await farm('terms', '--compute', '0.0125', '--payout', 'addr:1');
  expect(out).toBe(
    'Farm:     attic, terms version 2\nPlace:    BE, Ghent (51.1, 3.7)\nPaid to:  addr:1\n' +
      'Compute:  0.0125 a CU and hour\nStorage:  0 an SU and hour\nNetwork:  0 an NU (GB)\n',
  );
  const moved = await farm('terms', '--country', 'KE', '--json');
  const { terms } = JSON.parse(moved.out) as { terms: unknown };
  expect(terms).toMatchObject({
    version: 3,
    location: { country: 'KE', city: null, at: null },
    prices: { computeHourMicros: 12_500 },
  });
});

test.each([
  [['--country', 'Belgium'], 'not a country code of ISO 3166, such as BE'],
  [['--at', 'here'], '"here" is no place; write latitude and longitude: 51.1,3.7.'],
  [['--compute', 'much'], '"much" is no price; write one such as 0.0125, up to 1000.'],
  [['--payout', 'a b'], 'letters, digits and : . _ -, 128 at most'],
])('terms written %j are refused with what to write', async (args, sentence) => {
  const { code, err } = await farm('terms', ...args);
  expect(code).toBe(2);
  expect(err).toContain(sentence);
});

test('network settings are signed into the boot media, and read there as they were written', async () => {
  const path = join(folder, 'network.yaml');
  writeFileSync(
    path,
    `uplinks:
  - macs: [52:54:00:00:00:0A, 52:54:00:00:00:02]
    vlan: 40
    addresses: [192.0.2.7/24]
    gateways: [192.0.2.1]
proxy: http://192.0.2.80:3128
`,
  );
  const args = ['token', '--json', '--network', path];
  const [file] = JSON.parse((await farm(...args)).out) as [JoinFile];
  const media = parseBootMedia(utf8(JSON.stringify({ ...file, mirrors: ['http://192.0.2.1'] })));
  expect(settingsOfMedia(media)).toMatchObject({
    uplinks: [{ macs: ['52:54:00:00:00:0a', '52:54:00:00:00:02'], vlan: 40 }],
    proxy: 'http://192.0.2.80:3128',
    nameServers: [],
  });
  const { network, ...bare } = media;
  expect(settingsOfMedia(bare)).toEqual({ uplinks: [], nameServers: [], proxy: null });
  const foreign = { ...media, grid: 'other' };
  expect(() => settingsOfMedia(foreign)).toThrow(/of another farmer, or grid/u);
  const payload = Buffer.from(JSON.stringify({ uplinks: [] })).toString('base64');
  const changed = { ...media, ...(network && { network: { ...network, payload } }) };
  expect(() => settingsOfMedia(changed)).toThrow(/carries 0 valid signatures/u);
  expect(() => settingsOfMedia({ ...media, farmer: null })).toThrow(/without the farmer/u);
  writeFileSync(path, 'uplinks: [{ macs: [me], addresses: automatic }]\n');
  expect(await farm(...args)).toMatchObject({
    code: 2,
    err: expect.stringContaining('uplinks.0.macs.0: a MAC address such as') as string,
  });
});
