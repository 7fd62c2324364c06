import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { MINUTE_MS } from '../../src/lib/units.ts';
import { runInGuest } from '../support/guest/guest.ts';

// The agent's loop over the real drivers, killed with SIGKILL before, in and after every step.
const ROOT = join(import.meta.dirname, '../..');

type Killed = {
  /** `<moment> <step>`, ids left out but for the names of containers. */
  readonly struck: readonly string[];
  readonly names: readonly string[];
  readonly moved: readonly string[];
  readonly kept: readonly string[];
  readonly isSettled: boolean;
  readonly last: { readonly failures: readonly string[] };
};
let found: {
  readonly error?: string;
  readonly phases?: readonly Killed[];
  readonly left?: object;
} = {};

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-killed-'));
  const script = join(ROOT, 'test/support/loop/killed.ts');
  try {
    const wish = { root: ROOT, folder, script, deadlineMs: 15 * MINUTE_MS };
    found = (await runInGuest(wish)) as typeof found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 16 * MINUTE_MS);

/** A half-made thing may take more steps than these. */
const STEPS = [
  ['create image', 'create znet', 'create container web', 'create container alone'],
  ['remove container web', 'create container web'],
  ['remove container web', 'remove container alone', 'remove znet', 'remove image'],
];

test('killed before, in and after every step, it comes to the same end', () => {
  expect(found.error).toBeUndefined();
  const phases = found.phases ?? [];
  expect(phases.map(({ names }) => names)).toEqual([['alone', 'web'], ['alone', 'web'], []]);
  for (const [at, { struck, isSettled, last }] of phases.entries()) {
    // What a tool finished by itself after the kill in it has no end left to be killed at.
    const wanted = (STEPS[at] ?? []).flatMap((step) => [`before ${step}`, `during ${step}`]);
    expect(wanted.filter((it) => !struck.some((said) => said.startsWith(it)))).toEqual([]);
    expect(struck.filter((said) => said.startsWith('after ')).length).toBeGreaterThan(0);
    expect(isSettled).toBe(true);
    expect(last).toEqual({ failures: [] });
  }
});

test('whatever was killed, containers keep their processes until their contract changes', () => {
  const [first, next] = found.phases ?? [];
  expect(first?.moved).toEqual([]);
  expect(next?.moved).toEqual(['web']);
  expect(next?.kept).toEqual(['alone']);
});

test('what is cancelled leaves nothing, however often its removal was cut off', () => {
  expect(found.left).toEqual({
    containers: [],
    namespaces: [],
    links: ['lo'],
    mounts: [],
    cgroups: [],
  });
});
