import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MiB, SECOND_MS } from '../../../src/lib/units.ts';
import type { Client } from '../../../src/sdk/index.ts';
import { layGround, smallContract, startDirectory } from '../../support/store/directory-process.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';

type Disk = Disposable & {
  readonly folder: string;
  readonly fill: () => void;
  readonly free: () => void;
};

/** A file system of its own, in memory, that can really be full. */
function makeDisk(sizeMiB: number): Disk {
  const folder = mkdtempSync(join(tmpdir(), 'zos-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', folder]);
  const path = join(folder, 'ballast');
  return {
    folder,
    fill: () => {
      const file = openSync(path, 'w');
      try {
        for (const lengthBytes of [MiB, 4096]) writeUntilFull(file, lengthBytes);
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(path, { force: true }),
    [Symbol.dispose]: () => {
      execFileSync('umount', ['--lazy', folder]);
      rmSync(folder, { recursive: true });
    },
  };
}

function writeUntilFull(file: number, lengthBytes: number): void {
  const ballast = Buffer.alloc(lengthBytes);
  for (;;) {
    try {
      if (writeSync(file, ballast) < lengthBytes) return;
    } catch {
      return;
    }
  }
}

/** Sends contracts to a directory whose disk is full, then to the same with room again. */
async function useUp(client: Client, disk: Disk): Promise<number> {
  const nowMs = Date.now();
  const ground = await layGround(client, { nowMs, count: 8 });
  const accepted: string[] = [];
  const send = async (at: number): Promise<string> => {
    const { carried, id } = smallContract(ground, nowMs, at);
    try {
      await client.submitContract(carried);
      accepted.push(id);
      return 'taken';
    } catch (error) {
      return String((error as { code?: string }).code);
    }
  };
  expect(await send(0)).toBe('taken');
  disk.fill();
  // What the database keeps in reserve takes some more; then each one is refused by name.
  const words: string[] = [];
  for (let at = 1; at < 2000 && words.at(-1) !== 'STORE_FAILED'; at += 1)
    words.push(await send(at));
  expect(words.at(-1)).toBe('STORE_FAILED');
  expect(new Set(words).difference(new Set(['taken', 'STORE_FAILED'])).size).toBe(0);
  expect((await client.contract(accepted[0] ?? '')).versions).toHaveLength(1);
  expect((await client.nodes({})).items).toHaveLength(8);
  disk.free();
  const endMs = Date.now() + 60 * SECOND_MS;
  while ((await send(2001)) !== 'taken') {
    if (Date.now() > endMs) throw new Error('It takes nothing, though there is room.');
    await sleep(200);
  }
  for (const id of accepted) expect((await client.contract(id)).versions).toHaveLength(1);
  return accepted.length;
}

test('a full disk under SQLite: refused by name, reads go on, and writes when there is room', async () => {
  using disk = makeDisk(24);
  await using directory = await startDirectory(['--data', disk.folder]);
  expect(await useUp(directory.client, disk)).toBeGreaterThan(1);
}, 240_000);

test('a full disk under PostgreSQL: the same', async () => {
  using keys = makeDisk(24);
  using disk = makeDisk(160);
  await using server = await openPostgresServer({ parent: disk.folder });
  const words = ['--store', await server.makeDatabase(), '--keys', keys.folder];
  await using directory = await startDirectory(words);
  expect(await useUp(directory.client, disk)).toBeGreaterThan(1);
}, 240_000);
