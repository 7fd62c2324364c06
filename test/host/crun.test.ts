import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type CrunNotes, listContainers, parseStat, readProcess } from '../../src/host/crun.ts';

const TAIL = '1 2 3 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 209574 999 0';

test('a process is told by its start time, whatever it calls itself', () => {
  expect(parseStat(`7 (sh) S ${TAIL}`)).toEqual({ startTicks: 209_574 });
  expect(parseStat(`7 (a) R 1 ( b) S ${TAIL}`)).toEqual({ startTicks: 209_574 });
});

test('a zombie is dead', () => {
  expect(parseStat(`7 (sh) Z ${TAIL}`)).toBeUndefined();
  expect(parseStat('')).toBeUndefined();
});

test('containers are found in what crun keeps; a process id used again is none', async () => {
  const root = await mkdtemp(join(tmpdir(), 'zos-crun-'));
  onTestFinished(async () => rm(root, { recursive: true }));
  const own = readProcess(process.pid);
  const ticks = own?.startTicks ?? -1;
  const make = async (id: string, startTicks: number, files: readonly string[]): Promise<void> => {
    await mkdir(join(root, id));
    const status = { pid: process.pid, 'process-start-time': startTicks, bundle: `/b/${id}` };
    await writeFile(join(root, id, 'status'), JSON.stringify(status));
    const config = { annotations: { 'zos.id': id }, process: { args: ['x'] } };
    await writeFile(join(root, id, 'config.json'), JSON.stringify(config));
    for (const file of files) await writeFile(join(root, id, file), '');
  };
  await make('runs', ticks, []);
  await make('waits', ticks, ['exec.fifo']);
  await make('ended', ticks + 1, []);
  await mkdir(join(root, 'half-made'));
  const states = await listContainers(root);
  expect(states.map(({ id, state }) => `${id} ${state}`).toSorted()).toEqual([
    'ended stopped',
    'runs running',
    'waits created',
  ]);
  expect(states[0]?.annotations['zos.id']).toBe(states[0]?.id);
});

test('what runs is read once; when its process ended, what crun keeps is read again', async () => {
  const root = await mkdtemp(join(tmpdir(), 'zos-crun-'));
  onTestFinished(async () => rm(root, { recursive: true }));
  const child = spawn('sleep', ['600']);
  onTestFinished(() => void child.kill());
  const { pid = 0 } = child;
  const tell = async (of: { pid: number; ticks: number }, label: string): Promise<void> => {
    const status = { pid: of.pid, 'process-start-time': of.ticks, bundle: '/b/one' };
    await writeFile(join(root, 'one/status'), JSON.stringify(status));
    await writeFile(join(root, 'one/config.json'), JSON.stringify({ annotations: { label } }));
  };
  await mkdir(join(root, 'one'));
  await tell({ pid, ticks: readProcess(pid)?.startTicks ?? 0 }, 'first');
  const notes: CrunNotes = new Map();
  const [first] = await listContainers(root, notes);
  expect(first).toMatchObject({ state: 'running', pid, annotations: { label: 'first' } });
  expect((await listContainers(root, notes))[0]).toBe(first);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await listContainers(root, notes)).toMatchObject([{ state: 'stopped', pid }]);
  // Started again under the same id, as the agent does.
  await tell({ pid: process.pid, ticks: readProcess(process.pid)?.startTicks ?? 0 }, 'second');
  const again = { state: 'running', pid: process.pid, annotations: { label: 'second' } };
  expect(await listContainers(root, notes)).toMatchObject([again]);
  await rm(join(root, 'one'), { recursive: true });
  expect(await listContainers(root, notes)).toEqual([]);
  expect(notes.size).toBe(0);
});
