import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: number };

/** One thing that passes or fails, alone or as a number of tests. */
export type Suite = {
  readonly name: string;
  /** Long ones show what they do while they do it; short ones speak up only when they fail. */
  readonly isLong: boolean;
  readonly command: readonly string[];
  /** Where vitest writes what it counted; a suite without one counts as a single test. */
  readonly report?: string;
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
  const deadlines = ['--testTimeout=120000', '--hookTimeout=120000'];
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
    ...['kernel', 'journey', 'fuzz', 'process'].map(excluded),
    'test/',
  ),
];

function excluded(kind: string): string {
  return `--exclude=**/*.${kind}.test.ts`;
}

/** Compares all of this machine before and after, so nothing may come and go beside it. */
const ALONE = 'test/journeys/start.journey.test.ts';
/** Single machines that run a script on the released kernel: no grid, no directory. */
const GUESTS = [
  'courier',
  'disks',
  'drivers',
  'killed',
  'network',
  'screen/pictures',
  'secrets',
  'volumes',
  'walls/',
].map((name) => `test/journeys/${name}`);
/** Grids that wait more than they work: for watchdogs, back-offs, and what is missed for long. */
const WAITING = ['faults/', 'update/starts', 'farm/'].map((name) => `test/journeys/${name}`);
/** These start one machine each; the other grids have two, and sign `dist/release` anew. */
const BESIDE = ['test/journeys/firmware/', 'test/journeys/release/'];
/** Four machines at once take all that this one has: nothing that is slow stands beside them. */
const FOUR = 'test/journeys/update/rollout';
const OF_IMAGE = ['test/image/audit.journey', 'test/image/executable.journey'];

/**
 * What takes long, or needs root, this machine's kernel, a built image and QEMU: one row after the
 * other, and what stands in a row side by side.
 */
export const MACHINE: readonly (readonly Suite[])[] = [
  [
    { name: 'image', isLong: true, command: script('image/build.ts') },
    long('whole programs', '.process.test.ts'),
  ],
  [long('four machines', FOUR), long('fuzz', '.fuzz.test.ts')],
  [
    long('kernel tests', '.kernel.test.ts'),
    long('guests', ...GUESTS),
    long('journeys that wait', ...WAITING),
  ],
  [
    long(
      'journeys',
      'test/journeys/',
      ...[ALONE, FOUR, ...BESIDE, ...GUESTS, ...WAITING].map((path) => `--exclude=${path}**`),
    ),
    long('journeys beside', ...BESIDE, ...OF_IMAGE),
  ],
  [long('npm start', ALONE)],
];

function long(name: string, ...args: readonly string[]): Suite {
  return { ...vitest(name, '--no-file-parallelism', ...args), isLong: true };
}

/** Runs a suite, says how it went in one line, and counts. */
export async function runSuite(suite: Suite): Promise<Tally> {
  const startMs = performance.now();
  if (suite.report !== undefined) {
    mkdirSync(REPORTS, { recursive: true });
    rmSync(suite.report, { force: true });
  }
  if (suite.isLong) console.log(`--- ${suite.name}`);
  const { exitCode, output } = await runCommand(suite);
  const tally = tallyOf(suite, exitCode);
  if (tally.failed > 0 && output !== '') console.log(`\n${output.trimEnd()}\n`);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${tally.failed > 0 ? 'FAIL' : 'ok  '}  ${lineOf(suite, tally)}  ${seconds} s`);
  return tally;
}

function lineOf(suite: Suite, { passed, failed, skipped }: Tally): string {
  if (suite.report === undefined) return suite.name.padEnd(56);
  const counts = [`${passed} passed`];
  if (failed > 0) counts.push(`${failed} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  return `${suite.name.padEnd(24)}${counts.join(', ').padEnd(32)}`;
}

type Ended = { readonly exitCode: number; readonly output: string };

async function runCommand({ command, isLong }: Suite): Promise<Ended> {
  const [file = '', ...args] = command;
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const output: Buffer[] = [];
  const child = spawn(file, args, {
    cwd: ROOT,
    stdio: isLong ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  child.stdout?.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr?.on('data', (bytes: Buffer) => output.push(bytes));
  child.on('error', reject);
  child.on('close', (code) => {
    resolve({ exitCode: code ?? 1, output: Buffer.concat(output).toString() });
  });
  return promise;
}

type Report = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numTotalTests: number;
};

/** A suite that ended badly has failed at least once, whatever it says it counted. */
function tallyOf({ report }: Suite, exitCode: number): Tally {
  const alone = { passed: 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
  if (report === undefined) return { ...alone, passed: 1 - alone.failed };
  const counted = readReport(report);
  if (counted === undefined || counted.numTotalTests === 0) return { ...alone, failed: 1 };
  return {
    passed: counted.numPassedTests,
    failed: Math.max(counted.numFailedTests, alone.failed),
    skipped: counted.numTotalTests - counted.numPassedTests - counted.numFailedTests,
  };
}

function readReport(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}

/** The sum of several tallies. */
export function sum(tallies: readonly Tally[]): Tally {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of tallies) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return total;
}
