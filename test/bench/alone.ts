import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImage } from '../../boot/grid/release.ts';
import { KERNEL_ARGUMENTS } from '../../src/artifact/command-line.ts';
import { startQemu } from '../../src/host/lab/qemu.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import type { Figure } from './figure.ts';

const STARTED = /zos: boot started .*, (?<afterMs>\d+) ms after the kernel/u;

/** The figures that need no grid that is up: one machine alone, and the whole start. */
export function figuresAlone(root: string, env: Readonly<Record<string, string>>) {
  const stack = new AsyncDisposableStack();
  let clone: Promise<string> | undefined;
  const start = async (): Promise<number> => {
    clone ??= cloneRepository(root, stack);
    return timeStart(await clone);
  };
  const figures: Figure[] = [
    {
      name: 'first-line',
      what: 'kernel start to first line of our program, by counted instructions',
      unit: 's',
      reach: 4,
      measure: () => measureFirstLine(root, env),
    },
    {
      name: 'start-fresh',
      what: 'npm start in a fresh clone to "client got the page"',
      unit: 's',
      reach: 15 * 60,
      measure: start,
    },
    {
      name: 'start-again',
      what: 'npm start, second run',
      unit: 's',
      reach: 4 * 60,
      measure: start,
    },
  ];
  return { figures, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A machine whose clock is its own instructions: the same figure at every run. */
async function measureFirstLine(
  root: string,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const { signal } = new AbortController();
  await buildImage({ root, env, signal, onEvent: () => {} });
  const { promise, resolve } = Promise.withResolvers<number>();
  await using machine = startQemu({
    accelerator: 'tcg',
    isCounted: true,
    memoryMiB: 512,
    processors: 1,
    cards: [],
    diskPaths: [],
    endsOnReset: true,
    kernel: {
      path: join(root, 'dist/release/vmlinuz'),
      initrdPath: join(root, 'dist/release/initramfs.cpio'),
      append: [...KERNEL_ARGUMENTS, 'console=ttyS0,115200'].join(' '),
    },
    onLine: (line) => {
      const afterMs = STARTED.exec(line)?.groups?.['afterMs'];
      if (afterMs !== undefined) resolve(Number(afterMs) / SECOND_MS);
    },
  });
  const ended = machine.ended.then(() => {
    throw new Error('The machine ended before our program started.');
  });
  ended.catch(() => {});
  // Awaited here: the machine is stopped where this function ends.
  return await Promise.race([promise, ended]);
}

/** What git has of this repository, as a new user gets it. */
async function cloneRepository(root: string, stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await runIn(root, ['git', 'clone', '--quiet', '--local', '.', folder]);
  return folder;
}

async function timeStart(folder: string): Promise<number> {
  const startMs = performance.now();
  let pageMs = Number.NaN;
  await runIn(folder, ['npm', 'start', '--', '--once'], (line) => {
    if (line.includes('got this page')) pageMs = performance.now();
  });
  if (Number.isNaN(pageMs)) throw new Error('npm start ended without the page.');
  return (pageMs - startMs) / SECOND_MS;
}

async function runIn(
  cwd: string,
  [file = '', ...args]: readonly string[],
  onText: (text: string) => void = () => {},
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (bytes: Buffer) => onText(bytes.toString()));
  child.on('error', reject);
  child.on('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`${file} ${args.join(' ')} ended with status ${code}.`));
  });
  await promise;
}
