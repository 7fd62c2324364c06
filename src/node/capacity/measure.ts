import { pbkdf2 } from 'node:crypto';
import { closeSync, fdatasync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import {
  BLOCK_BYTES,
  challengeOf,
  fillPlot,
  type Opening,
  type Plot,
  type Space,
} from '../../capacity/measured/plot.ts';
import { spaceBelow, type TaskOf } from '../../capacity/measured/spec.ts';
import { HASH_BYTES } from '../../capacity/measured/tree.ts';
import { fromHex, sha256Hex, toBase64, toHex, utf8 } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import type { Asked } from '../questions.ts';

export class MeasureError extends ZosError<'MEASURER_FOREIGN' | 'PLOT_GONE'> {}

/** So long the node works on a plot, and then rests three times as long: a quarter of one core. */
const WORK_MS = 4;
const REST_PARTS = 3;
/** A tenant that needs the machine is waited for so long; then the node says that it is busy. */
const BUSY_MS_MAX = 20 * SECOND_MS;
const LOOK_AGAIN_MS = 250;
/** A plot is kept so long for its opening. */
const PLOT_KEPT_MS = MINUTE_MS;

const compute = promisify(pbkdf2);
const flush = promisify(fdatasync);

export type MeasureParts = {
  /** Only it may ask. */
  readonly directory: string;
  /** What a challenge may take now, without taking it from anybody. */
  readonly limits: () => Promise<{ readonly memoryBytes: number; readonly diskBytes: number }>;
  /** Where a plot may lie on the disk that is offered; `null` without one. */
  readonly diskPath: string | null;
  readonly processors: number;
  /** Whether tenants leave the processors alone enough. */
  readonly isIdle: () => boolean;
  readonly steady: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** A sample of so many bytes that the directory makes for a question. */
  readonly fetchSample: (question: string, sampleBytes: number) => Promise<Uint8Array>;
};

type Kept = {
  readonly id: string;
  readonly memory: Plot | null;
  readonly disk: Plot | null;
  readonly close: () => void;
};

class BusyError extends Error {}

/** Answers challenges one at a time, within the node's own limits and behind its tenants. */
export function openMeasure(
  parts: MeasureParts,
): (question: Asked<'measure'>) => Promise<Uint8Array> {
  let kept: Kept | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  const forget = (): void => {
    kept?.close();
    kept = undefined;
  };
  const space = async (id: string, task: TaskOf<'space'>): Promise<unknown> => {
    forget();
    const limits = await parts.limits();
    const memoryBytes = spaceBelow(Math.min(task.memoryBytes, limits.memoryBytes));
    const diskBytes =
      parts.diskPath === null ? 0 : spaceBelow(Math.min(task.diskBytes, limits.diskBytes));
    const disk = diskBytes === 0 ? null : await plotOnDisk(parts, id, diskBytes);
    const memory = memoryBytes === 0 ? null : await plotInMemory(parts, id, memoryBytes);
    const timer = setTimeout(forget, PLOT_KEPT_MS);
    timer.unref();
    const close = (): void => {
      clearTimeout(timer);
      disk?.close();
    };
    kept = { id, memory, disk: disk?.plot ?? null, close };
    return { memoryBytes, memoryRoot: rootOf(memory), diskBytes, diskRoot: rootOf(kept.disk) };
  };
  const open = ({ of, seed }: TaskOf<'open'>): unknown => {
    if (kept?.id !== of) {
      throw new MeasureError('PLOT_GONE', 'What was filled for that question is gone by now.');
    }
    const [memory, disk] = [kept.memory, kept.disk].map((plot) =>
      plot === null ? null : shownOf(plot.open(fromHex(seed) ?? new Uint8Array())),
    );
    forget();
    return { memory, disk };
  };
  const work = async (question: Asked<'measure'>): Promise<unknown> => {
    const { id, task } = question;
    if (task.part === 'space') return space(id, task);
    if (task.part === 'open') return open(task);
    await untilIdle(parts);
    if (task.part === 'compute') return computed(parts, id, task);
    return { sha256: await hashOfSample(parts, id, task) };
  };
  return async (question) => {
    if (question.tenant !== parts.directory) {
      throw new MeasureError('MEASURER_FOREIGN', 'Only the directory of the grid may measure.');
    }
    const mine = turn.then(async () => work(question)).catch(busyOf);
    turn = mine.catch(() => undefined);
    return utf8(JSON.stringify(await mine));
  };
}

function busyOf(error: unknown): { busy: string } {
  if (error instanceof BusyError) return { busy: error.message };
  throw error;
}

async function untilIdle({ isIdle, steady, sleep }: MeasureParts): Promise<void> {
  for (const sinceMs = steady(); !isIdle(); await sleep(LOOK_AGAIN_MS)) {
    if (steady() - sinceMs < BUSY_MS_MAX) continue;
    throw new BusyError('tenants keep the processors busy');
  }
}

/** Fills in short turns with rests between, and waits whenever tenants are at work. */
async function filled(parts: MeasureParts, filling: Generator<void, Plot>): Promise<Plot> {
  for (;;) {
    await untilIdle(parts);
    const startedMs = parts.steady();
    for (let workedMs = 0; workedMs < WORK_MS; workedMs = parts.steady() - startedMs) {
      const step = filling.next();
      if (step.done === true) return step.value;
    }
    await parts.sleep(REST_PARTS * (parts.steady() - startedMs));
  }
}

async function plotInMemory(parts: MeasureParts, id: string, lengthBytes: number): Promise<Plot> {
  const bytes = new Uint8Array(lengthBytes);
  const placeOf = (index: number): Uint8Array =>
    bytes.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
  const space: Space = {
    write: (index, block) => bytes.set(block, index * BLOCK_BYTES),
    read: placeOf,
  };
  return filled(parts, fillPlot(challengeOf(id, 'memory'), lengthBytes / BLOCK_BYTES, space));
}

/** A file that has no name from the start, so that nothing is left of it whatever happens. */
async function plotOnDisk(
  parts: MeasureParts,
  id: string,
  lengthBytes: number,
): Promise<{ readonly plot: Plot; readonly close: () => void }> {
  const path = parts.diskPath ?? '';
  const file = openSync(path, 'w+', 0o600);
  unlinkSync(path);
  const space: Space = {
    write: (index, block) => void writeSync(file, block, 0, BLOCK_BYTES, index * BLOCK_BYTES),
    read: (index) => {
      const block = new Uint8Array(BLOCK_BYTES);
      readSync(file, block, 0, BLOCK_BYTES, index * BLOCK_BYTES);
      return block;
    },
  };
  try {
    const count = lengthBytes / BLOCK_BYTES;
    const plot = await filled(parts, fillPlot(challengeOf(id, 'disk'), count, space));
    await flush(file);
    return { plot, close: () => closeSync(file) };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The outputs of all tasks, as many at a time as there are processors, four at most. */
async function computed(
  { processors }: MeasureParts,
  id: string,
  { tasks, rounds }: TaskOf<'compute'>,
): Promise<unknown> {
  // Four threads of the runtime do such work, beside the one that goes on answering.
  const lanes = Math.max(1, Math.min(processors, 4));
  const outputs = new Uint8Array(tasks * HASH_BYTES);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let task = next++; task < tasks; task = next++) {
      outputs.set(await compute(id, String(task), rounds, HASH_BYTES, 'sha256'), task * HASH_BYTES);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { lanes, outputs: toBase64(outputs) };
}

async function hashOfSample(
  { fetchSample }: MeasureParts,
  id: string,
  { sampleBytes }: TaskOf<'network'>,
): Promise<string> {
  return sha256Hex(await fetchSample(id, sampleBytes));
}

function rootOf(plot: Plot | null): string {
  return plot === null ? '00'.repeat(HASH_BYTES) : toHex(plot.root);
}

function shownOf({ blocks, hashes }: Opening): { blocks: string; hashes: string } {
  return { blocks: toBase64(new Uint8Array(Buffer.concat(blocks))), hashes: toBase64(hashes) };
}
