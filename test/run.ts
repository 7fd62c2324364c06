import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Suite } from './suites.ts';

const ROOT = join(import.meta.dirname, '..');
/** Machines and servers wait now and then: so much more is begun than there are processors. */
const WAITING = 1.25;
/** Of what a test failed with, so much is said again at the end. */
const REASON_LINES = 8;

export type Tally = {
  readonly passed: number;
  readonly skipped: number;
  /** What failed, a sentence each. */
  readonly failures: readonly string[];
};

/** Runs suites side by side: in their order, and no more than keep the processors busy. */
export async function runBeside(suites: readonly Suite[]): Promise<readonly Tally[]> {
  const waiting = [...suites];
  const running = new Set<Promise<void>>();
  const tallies: Tally[] = [];
  let free = availableParallelism() * WAITING;
  const start = async (suite: Suite): Promise<void> => {
    const { takes = 1 } = suite;
    free -= takes;
    tallies.push(await runSuite(suite));
    free += takes;
  };
  while (waiting.length > 0 || running.size > 0) {
    const next = waiting.findIndex(({ takes = 1 }) => takes <= free || running.size === 0);
    const [suite] = next < 0 ? [] : waiting.splice(next, 1);
    if (suite !== undefined) {
      const run = start(suite).finally(() => running.delete(run));
      running.add(run);
      continue;
    }
    await Promise.race(running);
  }
  return tallies;
}

/** Says how many passed and, once more, what failed; sets the status of this process. */
export function conclude(tallies: readonly Tally[]): void {
  const failures = tallies.flatMap((tally) => tally.failures);
  const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
  console.log(`\n${failures.map((failure) => `FAIL  ${failure}\n`).join('')}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

/** Runs a suite, says how it went in one line, and counts. */
export async function runSuite(suite: Suite): Promise<Tally> {
  const startMs = performance.now();
  if (suite.report !== undefined) {
    mkdirSync(dirname(suite.report), { recursive: true });
    rmSync(suite.report, { force: true });
  }
  if (suite.isLong) console.log(`--- ${suite.name}`);
  const { exitCode, output } = await runCommand(suite);
  const tally = tallyOf(suite, exitCode);
  const hasFailed = tally.failures.length > 0;
  if (hasFailed && output !== '') console.log(`\n${output.trimEnd()}\n`);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${hasFailed ? 'FAIL' : 'ok  '}  ${lineOf(suite, tally)}  ${seconds} s`);
  return tally;
}

function lineOf(suite: Suite, { passed, failures, skipped }: Tally): string {
  if (suite.report === undefined) return suite.name.padEnd(56);
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
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
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
};

/** A suite that ended badly has failed at least once, whatever it says it counted. */
function tallyOf({ name, report }: Suite, exitCode: number): Tally {
  const itself = exitCode === 0 ? [] : [`${name}: it ended with status ${exitCode}`];
  if (report === undefined) return { passed: 1 - itself.length, skipped: 0, failures: itself };
  const counted = readReport(report);
  if (counted === undefined || counted.numTotalTests === 0) {
    return { passed: 0, skipped: 0, failures: [`${name}: it ran no test`] };
  }
  const failures = failuresOf(counted);
  return {
    passed: counted.numPassedTests,
    failures: failures.length > 0 ? failures : itself,
    skipped: counted.numTotalTests - counted.numPassedTests - failures.length,
  };
}

/** Tests that failed, and files of which not even the tests began. */
function failuresOf({ testResults }: Report): string[] {
  return testResults.flatMap(({ name, message, status, assertionResults }) => {
    const failed = assertionResults.filter((result) => result.status === 'failed');
    const file = name.replace(`${ROOT}/`, '');
    if (failed.length === 0 && status === 'failed') return [sentenceOf(file, message)];
    return failed.map(({ fullName, failureMessages }) =>
      sentenceOf(`${file} › ${fullName}`, failureMessages?.join('\n') ?? ''),
    );
  });
}

function sentenceOf(what: string, why: string): string {
  const lines = stripVTControlCharacters(why).split('\n').slice(0, REASON_LINES);
  return [what, ...lines.map((line) => `      ${line}`)].join('\n');
}

function readReport(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}
