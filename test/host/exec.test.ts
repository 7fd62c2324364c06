import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { run, start } from '../../src/host/exec.ts';

test('a program gets its arguments as they are, standard input, and an environment of its own', async () => {
  expect(await run({ file: 'printf', args: ['%s|', '$HOME', '; ls', '*'] })).toBe('$HOME|; ls|*|');
  expect(await run({ file: 'cat', args: [], stdin: 'a secret' })).toBe('a secret');
  const names = (await run({ file: 'env', args: [], env: { ONLY: 'this' } })).split('\n');
  const found = new Set(names.map((line) => line.split('=')[0]));
  expect(found).toEqual(new Set(['', 'LC_ALL', 'ONLY', 'PATH']));
});

test.each([
  ['is not there', { file: 'no-such-tool', args: [] }, 'TOOL_MISSING'],
  ['fails', { file: 'ls', args: ['/no/such/folder'] }, 'TOOL_FAILED'],
  ['takes too long', { file: 'sleep', args: ['60'], deadlineMs: 100 }, 'TOOL_TOO_SLOW'],
  ['prints too much', { file: 'yes', args: [], outputBytesMax: 1000 }, 'TOOL_TOO_LOUD'],
])('a program that %s is an error with a code', async (_, command, code) => {
  await expect(run(command)).rejects.toMatchObject({ code });
});

test('what a program read never stands in the error of it', async () => {
  const command = { file: 'ls', args: ['/no/such/folder'], stdin: 'a secret' };
  const error: unknown = await run(command).catch((cause: unknown) => cause);
  expect(JSON.stringify(error) + String(error)).not.toContain('a secret');
});

test('a program that runs on is told line by line, and ends when asked', async () => {
  const lines: string[] = [];
  const first = Promise.withResolvers<void>();
  const running = start({
    file: 'sh',
    args: ['-c', 'echo one; echo two >&2; printf three; exec sleep 60'],
    onLine: (line) => {
      lines.push(line);
      if (lines.length === 2) first.resolve();
    },
  });
  await first.promise;
  await running.stop();
  expect(lines.toSorted()).toEqual(['one', 'three', 'two']);
  expect((await running.ended).signal).toBe('SIGTERM');
});

test('a program that does not want to end is made to', async () => {
  const ready = Promise.withResolvers<void>();
  const running = start({
    file: 'sh',
    args: ['-c', 'trap "" TERM; echo ready; while :; do sleep 1; done'],
    onLine: () => ready.resolve(),
  });
  await ready.promise;
  await running.stop();
  expect((await running.ended).signal).toBe('SIGKILL');
});

test('a program does not outlive the one that started it, however that one ends', async () => {
  const source = `
    import { start } from ${JSON.stringify(import.meta.resolve('../../src/host/exec.ts'))};
    console.log(start({ file: 'sleep', args: ['60'] }).pid);`;
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(owner.stdout, 'data')) as [Buffer];
  const path = `/proc/${Number(text.toString())}`;
  await access(path);
  owner.kill('SIGKILL');
  const isThere = (): Promise<boolean> =>
    access(path).then(
      () => true,
      () => false,
    );
  for (let tries = 0; tries < 1200 && (await isThere()); tries += 1) await sleep(50);
  expect(await isThere()).toBe(false);
});
