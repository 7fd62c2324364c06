import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DAY_MS } from '../../src/lib/units.ts';
import { boot, refusals } from '../support/release/boot.ts';
import { FAULTS, openMirror, sendFile } from '../support/release/mirror.ts';
import { keyIdOf, makeRelease, resign, writeNextRoot } from '../support/release/release.ts';

const METADATA = ['timestamp', 'snapshot', 'targets'] as const;
const nowMs = Date.now();

test.each([
  ['timestamp', 'EXPIRED'],
  ['snapshot', 'EXPIRED'],
  ['targets', 'EXPIRED'],
] as const)('%s past its expiry is refused as %s', async (role, code) => {
  await using release = await makeRelease(nowMs);
  await resign(release, {
    [role]: (signed: Record<string, unknown>) => (signed['expires'] = '2020-01-01T00:00:00Z'),
  });
  await using mirror = await openMirror(release.releasePath);
  expect(refusals((await boot([mirror.url], release)).lines)).toEqual([
    `metadata/${role}.json: ${code}`,
  ]);
});

test.each(METADATA)('%s signed by another role is refused', async (role) => {
  await using release = await makeRelease(nowMs);
  const other = role === 'targets' ? 'snapshot' : 'targets';
  await resign(release, {}, { [role]: other });
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual([`metadata/${role}.json: UNTRUSTED`]);
});

test('a release of somebody else is refused', async () => {
  await using mine = await makeRelease(nowMs);
  await using other = await makeRelease(nowMs);
  await using mirror = await openMirror(other.releasePath);
  const { lines } = await boot([mirror.url], mine);
  expect(refusals(lines)).toEqual(['metadata/timestamp.json: UNTRUSTED']);
});

test('a mirror with an older release can not take a node back', async () => {
  await using release = await makeRelease(nowMs);
  const versionOne = await readFile(join(release.releasePath, 'metadata/timestamp.json'));
  await resign(release, { timestamp: (signed) => (signed['version'] = 2) });
  await using newer = await openMirror(release.releasePath, { 'system.erofs': FAULTS.failing });
  await using older = await openMirror(release.releasePath, {
    'metadata/timestamp.json': (exchange) => sendFile({ ...exchange, bytes: versionOne }),
  });
  expect(refusals((await boot([newer.url, older.url], release)).lines)).toEqual([
    'system.erofs: HTTP_STATUS',
    'metadata/timestamp.json: ROLLED_BACK',
  ]);
});

test('a next root that the first signed is followed, and may ask for more signatures', async () => {
  await using release = await makeRelease(nowMs);
  const extra = await keyIdOf(release, 'targets');
  type Roles = Record<string, { keyids: string[]; threshold: number }>;
  await writeNextRoot(release, (signed) => {
    const { timestamp } = signed['roles'] as Roles;
    timestamp?.keyids.push(extra);
    if (timestamp !== undefined) timestamp.threshold = 2;
  });
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual(['metadata/timestamp.json: UNTRUSTED']);
  expect(lines.join('\n')).toContain('1/2 keys');
});

test('a next root by other keys, or with one bit changed, is refused', async () => {
  await using release = await makeRelease(nowMs);
  await writeNextRoot(release, () => {}, ['targets']);
  await using stolen = await openMirror(release.releasePath);
  const name = 'metadata/2.root.json';
  expect(refusals((await boot([stolen.url], release)).lines)).toEqual([`${name}: UNTRUSTED`]);
  await writeNextRoot(release);
  await using flipped = await openMirror(release.releasePath, { [name]: FAULTS.flipped });
  const { lines } = await boot([flipped.url], release);
  expect(refusals(lines).map((text) => text.split(':')[0])).toEqual([name]);
});

test('a root past its expiry is refused', async () => {
  await using release = await makeRelease(nowMs - 6 * 365 * DAY_MS);
  await using mirror = await openMirror(release.releasePath);
  const { lines } = await boot([mirror.url], release);
  expect(refusals(lines)).toEqual(['metadata/1.root.json: EXPIRED']);
});
