import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { MiB, MINUTE_MS } from '../../src/lib/units.ts';
import { runInGuest } from '../support/guest/guest.ts';

// The drivers on the released kernel with the released tools, in a machine of their own.
const ROOT = join(import.meta.dirname, '../..');
let found: Record<string, Record<string, unknown>> = {};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-guest-'));
  const script = join(ROOT, 'test/support/guest/drivers.ts');
  try {
    const wish = { root: ROOT, folder, script, deadlineMs: 12 * MINUTE_MS };
    found = (await runInGuest(wish)) as typeof found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 14 * MINUTE_MS);

test('the script ran to its end', () => {
  expect(found['error']).toBeUndefined();
});

test('a blank disk is taken with consent, and used again without', () => {
  expect(found['disk']).toEqual({
    refused: ['/dev/vda: it is blank, and nobody allowed to take blank disks'],
    taken: true,
    again: false,
    options: ['nosuid', 'nodev', 'noexec'],
    type: 'ext4',
  });
});

test('an image is mounted from memory and from the disk, and never when it was changed', () => {
  expect(found['images']).toEqual([
    { isMounted: true, from: 'run', tampered: 'IMAGE_WRONG_DIGEST', left: [] },
    { isMounted: true, from: 'data', tampered: 'IMAGE_WRONG_DIGEST', left: [] },
  ]);
});

test('a tunnel is made anew after a start that was cut off, and takes peers in place', () => {
  expect(found['znets']).toEqual({
    halfBecause: 'half-made',
    before: 'other-peers',
    after: 'none',
    arePortsOpen: true,
    outside: ['lo'],
  });
});

test('a container gets the page of another through the tunnel', () => {
  expect(found['containers']).toMatchObject({
    gotPage: true,
    state: 'running',
    difference: 'none',
    isStartKnown: true,
    nullOwner: 0,
  });
});

test('the kernel’s counts of a container are its own', () => {
  const { counts } = found['containers'] as { counts: Record<string, number> };
  expect(counts['cpuMs']).toBeGreaterThan(0);
  expect(counts['memoryBytes']).toBeGreaterThan(0);
  expect(counts['memoryBytes']).toBeLessThanOrEqual(32 * MiB);
  // It fetched a page of another container, and nothing else.
  expect(counts['receivedBytes']).toBeGreaterThan(200);
  expect(counts['sentBytes']).toBeGreaterThan(200);
  expect(counts['receivedBytes']).toBeLessThan(MiB);
});

test('it is nobody, has no capability, is filtered, and changes nothing', () => {
  const log = String(found['containers']?.['log']);
  expect(log).toContain('uid=1000 gid=1000');
  expect([...log.matchAll(/^Cap\w+:\s+(\S+)$/gmu)].map(([, value]) => value)).toEqual(
    Array.from({ length: 5 }, () => '0000000000000000'),
  );
  expect(log).toMatch(/^NoNewPrivs:\s+1$/mu);
  expect(log).toMatch(/^Seccomp:\s+2$/mu);
  expect(log).toMatch(/^\s+0\s+[1-9]\d{4,9}\s+65536$/mu);
  expect(log).toContain('33554432\n0\n50000 100000\n32\n');
  expect(log).toContain('/x: Read-only file system');
  expect(log).toMatch(/mount: .*(?:Function not implemented|not permitted)/u);
});

test('one that takes too much is ended and started again; a loud one fills its own log', () => {
  expect(found['limits']).toEqual({
    isKilled: true,
    because: 'out-of-memory',
    again: true,
    isFull: true,
    isBounded: true,
    half: 'stopped',
  });
});

test('what is removed leaves nothing', () => {
  expect(found['removed']).toEqual({
    namespaces: [],
    links: ['lo'],
    bundles: [],
    cgroups: [],
    logs: [],
    ports: [],
  });
});
