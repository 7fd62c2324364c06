import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { imagePaths } from '../../image/paths.ts';

// `zos-node` as it is in the image, on this machine. It is one program in three roles: whatever
// else it is given it should end with status 2 and a sentence, and run nothing.
const EXECUTABLE = join(imagePaths().work, 'zos-node');
const REFUSAL = 'it is started by PID 1';
const PLANTED = 'console.log("planted")';

type Wish = {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
};

async function start({ args = [], env = {}, stdin }: Wish): Promise<string> {
  const child = spawn(EXECUTABLE, args, { env, stdio: 'pipe' });
  let output = '';
  child.stdout.on('data', (part: Buffer) => (output += part.toString()));
  child.stderr.on('data', (part: Buffer) => (output += part.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin ?? '');
  const { promise, resolve } = Promise.withResolvers<string>();
  child.on('close', (code, signal) => resolve(`${code ?? signal} ${output}`));
  return promise;
}

test.for([
  ['no argument', {}],
  ['another role', { args: ['explorer'] }],
  ['-e', { args: ['-e', PLANTED] }],
  ['--eval', { args: [`--eval=${PLANTED}`] }],
  ['-p', { args: ['-p', PLANTED] }],
  ['--require', { args: ['--require', '/etc/hostname', 'x'] }],
  ['--import', { args: ['--import', `data:text/javascript,${PLANTED}`] }],
  ['--inspect', { args: ['--inspect-brk=127.0.0.1:9229'] }],
  ['a role with an option', { args: ['boot', '--inspect'] }],
  ['a script', { args: [import.meta.filename] }],
  ['standard input', { args: ['-'], stdin: PLANTED }],
  ['standard input alone', { stdin: PLANTED }],
  ['NODE_OPTIONS', { env: { NODE_OPTIONS: `--import=data:text/javascript,${PLANTED}` } }],
  ['NODE_OPTIONS that inspect', { env: { NODE_OPTIONS: '--inspect=127.0.0.1:9229' } }],
] as const)('%s runs nothing', async ([, wish]) => {
  const answer = await start(wish);
  expect(answer).toMatch(/^2 /u);
  expect(answer).toContain(REFUSAL);
  expect(answer).not.toContain('planted');
  expect(answer).not.toContain('Debugger listening');
});

test('SIGUSR1 opens no inspector', async () => {
  const child = await startStopped();
  let output = '';
  child.stdout.on('data', (part: Buffer) => (output += part.toString()));
  child.stderr.on('data', (part: Buffer) => (output += part.toString()));
  const ended = once(child, 'close');
  child.kill('SIGUSR1');
  child.kill('SIGCONT');
  await ended;
  expect(output).toContain(REFUSAL);
  expect(output).not.toContain('Debugger listening');
});

/** Stopped after Node has set up its signals, and before the program's end, some 30 ms later. */
async function startStopped(): Promise<ChildProcessByStdio<null, Readable, Readable>> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const child = spawn(EXECUTABLE, [], { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    const status = `/proc/${child.pid}/status`;
    while (!isSetUp(readFileSync(status, 'utf8'))) continue;
    child.kill('SIGSTOP');
    if (/^State:\s*[TRSD]/mu.test(readFileSync(status, 'utf8'))) return child;
  }
  throw new Error('It always ended before it could be stopped.');
}

/** Whether the signals are set up, or the process has ended and will never do so. */
function isSetUp(status: string): boolean {
  if (/^State:\s*[ZX]/mu.test(status)) return true;
  const bits = ['SigBlk', 'SigCgt', 'SigIgn'].map((name) =>
    BigInt(`0x${new RegExp(`^${name}:\\s*(\\w+)`, 'mu').exec(status)?.[1] ?? '0'}`),
  );
  const SIGUSR1 = 1n << 9n;
  return bits.some((set) => (set & SIGUSR1) !== 0n);
}
