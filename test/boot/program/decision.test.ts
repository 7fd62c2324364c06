import { expect, test } from 'vitest';
import { openConsole } from '../../../boot/program/console.ts';
import { type DecisionParts, openDecision } from '../../../boot/program/decision.ts';
import type { Release } from '../../../src/artifact/release/metadata.ts';
import type { Floor } from '../../../src/artifact/release/floor.ts';
import type { GridFile } from '../../../src/artifact/spec.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { DAY_MS } from '../../../src/lib/units.ts';

const BUILT_MS = Date.UTC(2026, 10, 1);
const NOW_MS = Date.UTC(2026, 10, 21);
const SHA256 = 'ab'.repeat(32);
const VERSIONS = { root: 1, timestamp: 5, snapshot: 4, targets: 3 };
const FLOOR: Floor = { versions: VERSIONS, rootSha256: SHA256 };
const NEWER: Floor = { versions: { ...VERSIONS, targets: 4 }, rootSha256: SHA256 };
const grid: GridFile = {
  grid: 'test',
  directory: { urls: ['http://10.0.0.1:8080'], identity: 'a'.repeat(64) },
  record: { policy: 'quorum none\n' },
};

const release: Release = {
  target: () => {
    throw new Error('not asked for here');
  },
  names: [],
  versions: VERSIONS,
  expiries: [{ artifact: 'metadata/timestamp.json', expiresMs: NOW_MS + DAY_MS }],
  roots: new Map([[1, { sha256: SHA256, onlineKeys: 'keys' }]]),
};

type World = {
  /** The machine's own clock. */
  readonly clockMs?: number;
  readonly onDisk?: Floor;
  /** What the directory says; silent without. */
  readonly told?: { readonly timeMs: number; readonly lowest: Floor | null };
  /** What a time server says; silent without. */
  readonly hintMs?: number;
};

/** Decides once: the code of a refusal or `taken`, the clock after it, and what was said. */
async function decide(world: World): Promise<{ what: string; clockMs: number; said: string }> {
  let clockMs = world.clockMs ?? NOW_MS;
  const lines: string[] = [];
  const parts: DecisionParts = {
    console: openConsole(
      (line) => lines.push(line),
      () => 0,
    ),
    notBeforeMs: BUILT_MS,
    nowMs: () => clockMs,
    setClock: async (nowMs) => void (clockMs = nowMs),
    readFloors: async () =>
      world.onDisk === undefined ? [] : [{ floor: world.onDisk, by: 'the disk /dev/vda' }],
    askDirectory: async ({ grid: name }) =>
      world.told && { grid: name, nonce: '0'.repeat(32), ...world.told },
    askTime: async () => world.hintMs,
  };
  const what = await openDecision(parts)(release, grid).then(() => 'taken', codeOf);
  return { what, clockMs, said: lines.join('\n') };
}

test.each([
  ['1970', 0],
  ['2035', Date.UTC(2035, 0, 1)],
  ['the right time', NOW_MS],
])('a clock in %s is set by the directory, and the release is taken', async (_, clockMs) => {
  const { what, ...after } = await decide({ clockMs, told: { timeMs: NOW_MS, lowest: null } });
  expect(what).toBe('taken');
  expect(after.clockMs).toBe(NOW_MS);
});

test.each([
  ['1970', 0],
  ['2035', Date.UTC(2035, 0, 1)],
])(
  'a clock in %s ends right by a time server, when the directory is silent',
  async (_, clockMs) => {
    const { what, ...after } = await decide({ clockMs, onDisk: FLOOR, hintMs: NOW_MS });
    expect(what).toBe('taken');
    expect(after.clockMs).toBe(NOW_MS);
    expect(after.said).toContain('by a time server, unsigned');
  },
);

test('a time server that lies neither moves a clock that can be right, nor makes a release old', async () => {
  for (const hintMs of [0, Date.UTC(2035, 0, 1)]) {
    const { what, clockMs } = await decide({ onDisk: FLOOR, hintMs });
    expect({ what, clockMs }).toEqual({ what: 'taken', clockMs: NOW_MS });
  }
  // The directory's word counts whatever a time server says.
  const told = { timeMs: NOW_MS, lowest: null };
  const lied = await decide({ clockMs: 0, told, hintMs: Date.UTC(2035, 0, 1) });
  expect(lied).toMatchObject({ what: 'taken', clockMs: NOW_MS });
});

test('no time, signed or not, is before the image was made', async () => {
  const told = { timeMs: 1, lowest: null };
  expect((await decide({ clockMs: 0, told })).clockMs).toBe(BUILT_MS);
  expect((await decide({ clockMs: 0, onDisk: FLOOR, hintMs: 1 })).clockMs).toBe(BUILT_MS);
  expect((await decide({ clockMs: 0, onDisk: FLOOR })).clockMs).toBe(BUILT_MS);
});

test('a frozen mirror is found by the time that the directory signs', async () => {
  const told = { timeMs: NOW_MS + 2 * DAY_MS, lowest: null };
  expect((await decide({ clockMs: NOW_MS, told })).what).toBe('EXPIRED');
});

test('a silent directory: who remembers goes on, and who does not waits', async () => {
  expect((await decide({ onDisk: FLOOR })).what).toBe('taken');
  expect((await decide({})).what).toBe('DIRECTORY_SILENT');
});

test('another grid’s memory is no memory, and is told', async () => {
  const foreign = { ...NEWER, rootSha256: 'cd'.repeat(32) };
  const { what, said } = await decide({ onDisk: foreign });
  expect(what).toBe('DIRECTORY_SILENT');
  expect(said).toContain('the disk /dev/vda remembers a release of other keys');
});

test('whoever remembers a newer release refuses an older one: the disk, the directory', async () => {
  const silent = { timeMs: NOW_MS, lowest: null };
  expect((await decide({ onDisk: NEWER })).what).toBe('ROLLED_BACK');
  expect((await decide({ onDisk: NEWER, told: silent })).what).toBe('ROLLED_BACK');
  expect((await decide({ onDisk: FLOOR, told: { ...silent, lowest: NEWER } })).what).toBe(
    'ROLLED_BACK',
  );
  expect((await decide({ told: { ...silent, lowest: NEWER } })).what).toBe('ROLLED_BACK');
});
