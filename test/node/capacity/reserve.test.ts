import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type MemoryUse, reserveOf } from '../../../src/capacity/measured/reserve.ts';
import { keptByGroup, readSystemBytes, takenBytes } from '../../../src/host/usage/memory.ts';
import { MiB } from '../../../src/lib/units.ts';
import { openReserve } from '../../../src/node/capacity/reserve.ts';

const SYSTEM = 'ab'.repeat(32);
const IDLE: MemoryUse = { systemBytes: 140 * MiB, agentBytes: 40 * MiB };

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-reserve-'));
});
afterEach(async () => rm(folder, { recursive: true }));

/** A node whose system takes so much, and what it says of that. */
async function open(use: { now: MemoryUse }, system = SYSTEM, isInMemory = false) {
  const told: (string | null)[] = [];
  const troubles = { set: (_: string, sentence: string | null) => void told.push(sentence) };
  const read = async (): Promise<MemoryUse> => use.now;
  const parts = { folder, system, bootFolder: folder, isInMemory, troubles, read };
  return { told, ...(await openReserve(parts)) };
}

async function sell(): Promise<void> {
  await mkdir(join(folder, 'contracts'));
  await writeFile(join(folder, 'contracts', `contract-${SYSTEM}.json`), '{}');
}

test('the reserve is what the system takes, with the agent at the most it lets itself take', () => {
  expect(reserveOf(IDLE, 96 * MiB)).toBe(208 * MiB);
  // 100 MiB of others and the agent's 96 make 196, told in steps of 16.
  expect(reserveOf({ systemBytes: 141 * MiB, agentBytes: 41 * MiB }, 96 * MiB)).toBe(208 * MiB);
  expect(reserveOf({ systemBytes: 190 * MiB, agentBytes: 40 * MiB }, 96 * MiB)).toBe(256 * MiB);
});

test('room for an update is kept beside it, and is no need of the system', async () => {
  await writeFile(join(folder, 'system.erofs'), new Uint8Array(50 * MiB));
  const use = { now: IDLE };
  const node = await open(use);
  expect(node.keptBytes).toBe(288 * MiB);
  // 208 MiB and an eighth of it: with room for the update, more than that is too much.
  use.now = { systemBytes: 168 * MiB, agentBytes: 40 * MiB };
  await node.look();
  expect(node.told.at(-1)).toBeNull();
  use.now = { systemBytes: 169 * MiB, agentBytes: 40 * MiB };
  await node.look();
  expect(node.told.at(-1)).toMatch(/needs 240\.0 MiB .* keeps 238\.0 MiB/u);
});

test('noise changes no offer, and what was needed once is kept from the next start on', async () => {
  const use = { now: IDLE };
  const first = await open(use);
  expect(first.keptBytes).toBe(240 * MiB);
  use.now = { systemBytes: 130 * MiB, agentBytes: 38 * MiB };
  await first.look();
  expect(first.told.at(-1)).toBeNull();
  expect((await open(use)).keptBytes).toBe(240 * MiB);
  use.now = { systemBytes: 230 * MiB, agentBytes: 50 * MiB };
  await first.look();
  expect(first.told.at(-1)).toBe(
    'The system needs 288.0 MiB of memory and keeps 240.0 MiB; without contracts it keeps more.',
  );
  use.now = IDLE;
  await first.look();
  expect(first.told.at(-1)).toBeNull();
  expect((await open(use)).keptBytes).toBe(336 * MiB);
});

test('no ground is taken from under contracts, and another system is measured anew', async () => {
  const use = { now: IDLE };
  await open(use);
  await sell();
  use.now = { systemBytes: 300 * MiB, agentBytes: 40 * MiB };
  const sold = await open(use);
  expect(sold.keptBytes).toBe(240 * MiB);
  await sold.look();
  expect(sold.told.at(-1)).toMatch(/needs 368\.0 MiB .* keeps 240\.0 MiB/u);
  await rm(join(folder, 'contracts'), { recursive: true });
  expect((await open(use)).keptBytes).toBe(416 * MiB);
  use.now = IDLE;
  expect((await open(use, 'cd'.repeat(32))).keptBytes).toBe(240 * MiB);
});

test('images in memory are no need of the system, and a damaged file is measured again', async () => {
  const use = { now: IDLE };
  const first = await open(use, SYSTEM, true);
  use.now = { systemBytes: 400 * MiB, agentBytes: 40 * MiB };
  await first.look();
  expect(first.told).toEqual([]);
  expect((await open(use, SYSTEM, true)).keptBytes).toBe(240 * MiB);
  const path = join(folder, 'reserve.json');
  await writeFile(path, (await readFile(path, 'utf8')).slice(3));
  expect((await open(use)).keptBytes).toBe(528 * MiB);
});

test('what containers hold, and what can be given back at once, is not the system’s', async () => {
  const meminfo = 'MemTotal:  1000000 kB\nMemFree: 100 kB\nMemAvailable:   600000 kB\n';
  expect(takenBytes(meminfo)).toBe(400_000 * 1024);
  const stat = 'anon 100\nfile 5000\nkernel 60\nshmem 10\nslab_reclaimable 20\nslab 25\n';
  expect(keptByGroup(stat)).toBe(150);
  expect(keptByGroup('')).toBe(0);
  expect(await readSystemBytes()).toBeGreaterThan(10 * MiB);
});
