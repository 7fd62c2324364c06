import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { RESULTS, spaceBelow, type Task, taskSchema } from '../../../src/capacity/measured/spec.ts';
import type { Ask } from '../../../src/directory/capacity/challenges.ts';
import { measureNode, sampleOf } from '../../../src/directory/capacity/measuring.ts';
import { openIdentity } from '../../../src/directory/keys.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { MiB } from '../../../src/lib/units.ts';
import { type MeasureParts, openMeasure } from '../../../src/node/capacity/measure.ts';
import type { Asked } from '../../../src/node/questions.ts';

const folder = mkdtempSync(join(tmpdir(), 'zos-measure-'));
const own = openIdentity(folder);
afterAll(() => rmSync(folder, { recursive: true }));

function node(over: Partial<MeasureParts> = {}) {
  return openMeasure({
    directory: own.id,
    limits: async () => ({ memoryBytes: MiB, diskBytes: MiB }),
    diskPath: join(folder, 'measured.plot'),
    processors: 2,
    isIdle: () => true,
    steady: () => performance.now(),
    sleep: async () => undefined,
    fetchSample: async (question) => sampleOf(own, question),
    ...over,
  });
}

type Lie = (part: Task['part'], result: Record<string, unknown>) => Record<string, unknown>;

/** The real node's answers, as a node that lies would change them. */
function askOf(lie: Lie = (_, result) => result, over: Partial<MeasureParts> = {}): Ask {
  const answer = node(over);
  let asked = 0;
  return async (task) => {
    asked += 1;
    const id = String(asked).padStart(64, '0');
    const question = { id, tenant: own.id, task: taskSchema.parse(task) } as Asked<'measure'>;
    const startedMs = performance.now();
    const plain = JSON.parse(Buffer.from(await answer(question)).toString('utf8')) as object;
    const said = lie(task.part, { ...plain });
    const result = RESULTS[task.part].parse(said) as never;
    return { question: id, tookMs: Math.round(performance.now() - startedMs), result };
  };
}

let drawn = 0;
const wish = {
  own,
  memoryBytes: MiB,
  diskBytes: MiB / 2,
  seed: () => new Uint8Array(32).fill(5),
  draw: () => (drawn += 1),
};

test('an honest node shows all of it, and leaves nothing on its disk', async () => {
  const shown = await measureNode(askOf(), wish);
  expect(shown).toMatchObject({ memoryBytes: MiB, diskBytes: MiB / 2, lanes: 2 });
  expect(readdirSync(folder)).not.toContain('measured.plot');
});

test('a node fills no more than its own limits allow', async () => {
  const limits = async () => ({ memoryBytes: 200_000, diskBytes: 1000 });
  const shown = await measureNode(askOf(undefined, { limits }), wish);
  expect(shown).toMatchObject({ memoryBytes: 131_072, diskBytes: 0 });
  const shownWithout = await measureNode(askOf(undefined, { diskPath: null }), wish);
  expect(shownWithout).toMatchObject({ memoryBytes: MiB, diskBytes: 0 });
});

const roots = { memoryRoot: 'ab'.repeat(32), diskRoot: 'ab'.repeat(32) };
test.each<[string, string, Lie]>([
  [
    'PLOT_WRONG',
    'another root',
    (_, said) => ('memoryRoot' in said ? { ...said, ...roots } : said),
  ],
  [
    'PLOT_WRONG',
    'twice the memory that it filled',
    (_, said) => ('memoryBytes' in said ? { ...said, memoryBytes: MiB, diskBytes: MiB / 2 } : said),
  ],
  [
    'PLOT_WRONG',
    'nothing of its memory',
    (_, said) => ({ ...said, ...('memory' in said && { memory: null }) }),
  ],
  [
    'PLOT_WRONG',
    'its disk for its memory',
    (_, said) => ({ ...said, ...('memory' in said && { memory: said['disk'] }) }),
  ],
  [
    'RESULT_MALFORMED',
    'more than was asked for',
    (_, said) => ('memoryBytes' in said ? { ...said, memoryBytes: 2 * MiB } : said),
  ],
  [
    'COMPUTE_WRONG',
    'made up results',
    (_, said) => ({ ...said, ...('outputs' in said && { outputs: '' }) }),
  ],
  [
    'SAMPLE_WRONG',
    'a made up hash',
    (_, said) => ({ ...said, ...('sha256' in said && { sha256: 'ab'.repeat(32) }) }),
  ],
])('%s: a node that shows %s', async (code, _, lie) => {
  const limits = async () => ({ memoryBytes: MiB / 2, diskBytes: MiB / 4 });
  expect(await measureNode(askOf(lie, { limits }), wish).catch(codeOf)).toBe(code);
});

test('a node whose tenants are at work waits, and then says that it is busy', async () => {
  let nowMs = 0;
  const busy = node({
    isIdle: () => false,
    steady: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
    },
  });
  const task = { part: 'space', memoryBytes: MiB, diskBytes: 0 } as const;
  const answer = await busy({ id: 'aa', tenant: own.id, task } as Asked<'measure'>);
  expect(JSON.parse(Buffer.from(answer).toString('utf8'))).toEqual({
    busy: 'tenants keep the processors busy',
  });
  expect(nowMs).toBe(20_000);
});

test('a plot rests for longer than it works', async () => {
  let workedMs = 0;
  let restedMs = 0;
  const slow = node({
    steady: () => {
      workedMs += 1;
      return workedMs;
    },
    sleep: async (ms) => {
      restedMs += ms;
    },
  });
  const task = { part: 'space', memoryBytes: MiB, diskBytes: 0 } as const;
  await slow({ id: 'aa', tenant: own.id, task } as Asked<'measure'>);
  expect(restedMs).toBeGreaterThan(workedMs);
});

test('what is opened is what was filled last, once', async () => {
  const answer = node();
  const asked = async (id: string, task: Task): Promise<unknown> =>
    answer({ id, tenant: own.id, task } as Asked<'measure'>).catch(codeOf);
  const seed = 'ab'.repeat(32);
  await asked('aa', { part: 'space', memoryBytes: MiB, diskBytes: 0 });
  expect(await asked('bb', { part: 'open', of: 'cc', seed })).toBe('PLOT_GONE');
  expect(await asked('bb', { part: 'open', of: 'aa', seed })).not.toBe('PLOT_GONE');
  expect(await asked('bb', { part: 'open', of: 'aa', seed })).toBe('PLOT_GONE');
});

test('a size is nothing, or a power of two', () => {
  expect([0, 65_535, 65_536, 100_000, 3 * MiB].map(spaceBelow)).toEqual([
    0,
    0,
    65_536,
    65_536,
    2 * MiB,
  ]);
  const of = (memoryBytes: number) =>
    taskSchema.safeParse({ part: 'space', memoryBytes, diskBytes: 0 }).success;
  expect([0, 1, 65_536, 100_000, MiB, 2 ** 31].map(of)).toEqual([
    true,
    false,
    true,
    false,
    true,
    false,
  ]);
});
