import { globSync } from 'node:fs';
import { join } from 'node:path';

/** One thing that passes or fails, alone or as a number of tests. */
export type Suite = {
  readonly name: string;
  /** Long ones show what they do while they do it; short ones speak up only when they fail. */
  readonly isLong: boolean;
  readonly command: readonly string[];
  /** Where vitest writes what it counted; a suite without one counts as a single test. */
  readonly report?: string;
  /** How many processors it keeps busy; one, when it does not say. */
  readonly takes?: number;
};

const ROOT = join(import.meta.dirname, '..');
const REPORTS = join(ROOT, 'dist/test');
const BIN = join(ROOT, 'node_modules/.bin');

function tool(name: string, ...args: readonly string[]): readonly string[] {
  return [join(BIN, name), ...args];
}

function script(...args: readonly string[]): readonly string[] {
  return [process.execPath, ...args];
}

function vitest(name: string, ...args: readonly string[]): Suite {
  // Far more than any test takes: a busy machine is slow, and that is no fault of what is tested.
  const deadlines = ['--testTimeout=300000', '--hookTimeout=300000'];
  const report = join(REPORTS, `${name.replaceAll(' ', '-')}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const command = script(
    'node_modules/vitest/vitest.mjs',
    'run',
    ...deadlines,
    ...reporters,
    ...args,
  );
  return { name, isLong: false, command, report };
}

/** Kinds of tests that are slow, by the end of their files' names. */
const KINDS = ['kernel', 'journey', 'fuzz', 'process'];
const CODE = ['src', 'image', 'boot', 'test'];

/** What is quick: it needs neither root nor QEMU, and starts no whole program. */
export const CHECK: readonly Suite[] = [
  { name: 'types', isLong: false, command: tool('tsc', '--noEmit') },
  { name: 'lint', isLong: false, command: tool('oxlint', '--type-aware', ...CODE) },
  { name: 'format', isLong: false, command: tool('oxfmt', '--check', ...CODE) },
  { name: 'unused code', isLong: false, command: tool('knip', '--no-progress') },
  // Without a process for each file: they share what they import, which is most of their time. On
  // every processor: left alone, vitest keeps one free.
  vitest(
    'unit tests',
    '--no-isolate',
    '--maxWorkers=100%',
    ...KINDS.map((kind) => `--exclude=**/*.${kind}.test.ts`),
    'test/',
  ),
];

/** What the others start: it is made before them. */
export const IMAGE: Suite = { name: 'image', isLong: true, command: script('image/build.ts') };

type Group = {
  readonly name: string;
  /** How the paths of its files begin, below `test/`, or end. */
  readonly files: readonly string[];
  readonly takes?: number;
};

/** Compares all of this machine before and after: nothing may come and go beside it. */
const LAST: Group = { name: 'npm start', files: ['journeys/start.'] };

/**
 * A file is of the first group that names it, so that each is run, and once. What waits more
 * than it works begins first: for watchdogs, back-offs, and what is missed for long.
 */
const GROUPS: readonly Group[] = [
  // Four machines at once are more than enough.
  { name: 'rollout', files: ['journeys/update/rollout'], takes: 2.5 },
  { name: 'starts', files: ['journeys/update/starts'], takes: 0.5 },
  { name: 'systems', files: ['journeys/update/system'] },
  { name: 'kernels', files: ['journeys/update/kernel'] },
  { name: 'firmware', files: ['journeys/firmware/'] },
  // Two machines each.
  { name: 'faults', files: ['journeys/faults/'], takes: 1.5 },
  { name: 'grids', files: ['journeys/grid', 'journeys/rack'], takes: 1.5 },
  { name: 'farm', files: ['journeys/farm/'] },
  {
    name: 'disks',
    files: ['disks', 'volumes', 'secrets', 'killed'].map((name) => `journeys/${name}`),
  },
  { name: 'releases', files: ['journeys/release/', 'image/'] },
  { name: 'journeys', files: ['.journey.test.ts'] },
  { name: 'directory', files: ['directory/'] },
  { name: 'kernel tests', files: ['.kernel.test.ts'] },
  { name: 'whole programs', files: ['.process.test.ts'] },
  { name: 'fuzz', files: ['.fuzz.test.ts'] },
];

const SLOW = KINDS.map((kind) => `test/**/*.${kind}.test.ts`);

/** What takes long, or needs root, this machine's kernel, a built image and QEMU. */
export const [ALONE, MACHINE] = suitesOf(globSync(SLOW, { cwd: ROOT }).toSorted());

function suitesOf(files: readonly string[]): [Suite, readonly Suite[]] {
  const byGroup = Map.groupBy(files, (file) => [LAST, ...GROUPS].find(isIn(file)));
  const suiteOf = (group: Group): Suite => {
    const { name, takes = 1 } = group;
    const suite = vitest(name, '--no-file-parallelism', ...(byGroup.get(group) ?? []));
    return { ...suite, isLong: true, takes };
  };
  return [suiteOf(LAST), GROUPS.map(suiteOf)];
}

function isIn(file: string): (group: Group) => boolean {
  return ({ files }) =>
    files.some((name) => file.startsWith(`test/${name}`) || file.endsWith(name));
}
