import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { start } from '../../../src/host/exec.ts';

// A whole process, as signals end whole processes.
const PROGRAM = join(import.meta.dirname, '../../support/update/told.ts');

test('told to go down while a program of its own runs, it leaves the mark before it ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-told-'));
  try {
    const isReady = Promise.withResolvers<void>();
    await using told = start({
      file: process.execPath,
      args: [PROGRAM, folder],
      onLine: (line) => {
        if (line === 'ready') isReady.resolve();
      },
    });
    await Promise.race([isReady.promise, told.ended]);
    await told.stop();
    expect(await told.ended).toEqual({ exitCode: 0, signal: undefined });
    expect(JSON.parse(await readFile(join(folder, 'restart.json'), 'utf8'))).toEqual({
      reason: 'requested',
      detail: 'it was told to go down',
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
