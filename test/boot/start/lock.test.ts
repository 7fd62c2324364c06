import { spawn } from 'node:child_process';
import { existsSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { takeLock } from '../../../boot/start/lock.ts';

test('a second start beside the first is told whose turn it is, by process id', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-lock-'));
  const path = join(folder.path, 'lock');
  using _lock = takeLock(path, process.pid);
  expect(() => takeLock(path, process.ppid)).toThrow(
    `A grid runs from this folder already, as process ${process.pid};`,
  );
});

test('a lock that was let go can be taken again, and leaves no file', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-lock-'));
  const path = join(folder.path, 'lock');
  takeLock(path, process.pid)[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
  takeLock(path, process.pid)[Symbol.dispose]();
});

test('the lock of a process that is gone holds nobody up', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-lock-'));
  const path = join(folder.path, 'lock');
  const owner = spawn('sleep', ['60']);
  takeLock(path, owner.pid ?? 0);
  expect(() => takeLock(path, process.pid)).toThrow('already');
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  using _lock = takeLock(path, process.pid);
  expect(existsSync(path)).toBe(true);
});

test('a process that got the id of one that is gone is not taken for it', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-lock-'));
  const path = join(folder.path, 'lock');
  writeFileSync(path, `${process.pid} 1\n`);
  using _lock = takeLock(path, process.pid);
  expect(existsSync(path)).toBe(true);
});
