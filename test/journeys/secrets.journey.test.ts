import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { runInGuest } from '../support/guest/guest.ts';

// Sealed secrets with the released kernel and crun, in a machine of their own.
const ROOT = join(import.meta.dirname, '../..');
let found: Record<string, unknown> = {};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-guest-'));
  const script = join(ROOT, 'test/support/guest/secrets.ts');
  try {
    found = (await runInGuest({
      root: ROOT,
      folder,
      script,
      deadlineMs: 12 * MINUTE_MS,
    })) as typeof found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 14 * MINUTE_MS);

test('a container gets its secrets as a variable and as a file of its own user', () => {
  expect(found['error']).toBeUndefined();
  expect(found['secrets']).toMatchObject({ isVariableRight: true, isInEnvironment: true });
  expect(found['isFileRight']).toBe(true);
  expect(String(found['log'])).toMatch(/-r-------- +1 1000 +1000 +\d+ .* key/u);
  expect(String(found['log'])).toContain('/run/secrets/x: Read-only file system');
});

test('a secret stands in no file of the node, in no command line and in no plan', () => {
  expect(found['secrets']).toMatchObject({
    running: [],
    mounts: [],
    removed: [],
    left: [],
    difference: 'none',
  });
});

test('what was sealed for something else, or is no text, starts nothing and is not told', () => {
  expect(found['bad']).toEqual([
    { code: 'SEAL_FOREIGN', isTold: false, isThere: false, marks: [] },
    { code: 'SECRET_UNFIT', isTold: false, isThere: false, marks: [] },
  ]);
});
