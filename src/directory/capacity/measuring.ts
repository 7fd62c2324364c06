import { createCipheriv, createHash, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { BLOCK_BYTES, challengeOf, isPlotOpening } from '../../capacity/measured/plot.ts';
import type { Measurement } from '../../capacity/measured/spec.ts';
import { HASH_BYTES } from '../../capacity/measured/tree.ts';
import { fromHex, isSameBytes, sha256Hex, toHex } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { MiB, SECOND_MS } from '../../lib/units.ts';
import type { OwnIdentity } from '../keys.ts';
import type { Ask, Asked } from './challenges.ts';

export class MeasuringError extends ZosError<
  | 'NODE_BUSY'
  | 'NODE_SILENT'
  | 'RESULT_MALFORMED'
  | 'PLOT_WRONG'
  | 'PLOT_LATE'
  | 'COMPUTE_WRONG'
  | 'SAMPLE_WRONG'
> {}

/** What was filled is shown at once, or it was not there: making it again takes longer. */
const OPEN_MS_MAX = 10 * SECOND_MS;
const TASKS = 64;
const ROUNDS = 20_000;
/** Outputs that are computed again here; a node can't know which. */
const TASKS_CHECKED = 2;
export const SAMPLE_BYTES = 4 * MiB;

const compute = promisify(pbkdf2);

export type MeasureWish = {
  readonly own: OwnIdentity;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly seed: () => Uint8Array;
  /** A number of chance. */
  readonly draw: () => number;
};

type Shown = Pick<
  Measurement,
  'memoryBytes' | 'diskBytes' | 'spaceMs' | 'roundsPerSecond' | 'lanes' | 'bytesPerSecond'
>;

/** All parts, one after the other; throws `MeasuringError` when one of them does not hold. */
export async function measureNode(ask: Ask, wish: MeasureWish): Promise<Shown> {
  const space = await measureSpace(ask, wish);
  const computed = await measureCompute(ask, wish);
  const bytesPerSecond = await measureNetwork(ask, wish);
  return { ...space, ...computed, bytesPerSecond };
}

async function measureSpace(
  ask: Ask,
  { memoryBytes, diskBytes, seed }: MeasureWish,
): Promise<Pick<Shown, 'memoryBytes' | 'diskBytes' | 'spaceMs'>> {
  const filled = await ask<'space'>({ part: 'space', memoryBytes, diskBytes });
  const { result, question, tookMs } = filled;
  if (result.memoryBytes > memoryBytes || result.diskBytes > diskBytes) {
    throw new MeasuringError('RESULT_MALFORMED', 'The node filled more than was asked for.');
  }
  // Drawn only now that the roots are told: nobody could have kept just these places.
  const places = seed();
  const opened = await ask<'open'>({ part: 'open', of: question, seed: toHex(places) });
  if (opened.tookMs > OPEN_MS_MAX) {
    const sentence = `It took the node ${opened.tookMs} ms to show what it had filled.`;
    throw new MeasuringError('PLOT_LATE', sentence);
  }
  for (const what of ['memory', 'disk'] as const) checkPlot({ filled, opened, what, places });
  return { memoryBytes: result.memoryBytes, diskBytes: result.diskBytes, spaceMs: tookMs };
}

type Filled = {
  readonly filled: Asked<'space'>;
  readonly opened: Asked<'open'>;
  readonly what: 'memory' | 'disk';
  readonly places: Uint8Array;
};

function checkPlot({ filled: { question, result }, opened, what, places }: Filled): void {
  const lengthBytes = result[`${what}Bytes`];
  if (lengthBytes === 0) return;
  const opening = opened.result[what];
  const claim = {
    challenge: challengeOf(question, what),
    count: lengthBytes / BLOCK_BYTES,
    root: fromHex(result[`${what}Root`]) ?? new Uint8Array(),
    seed: places,
  };
  const blocks = opening === null ? [] : blocksOf(opening.blocks);
  if (opening !== null && isPlotOpening(claim, { blocks, hashes: opening.hashes })) return;
  throw new MeasuringError('PLOT_WRONG', `What the node shows of its ${what} was not filled so.`);
}

function blocksOf(bytes: Uint8Array): Uint8Array[] {
  const count = Math.ceil(bytes.length / BLOCK_BYTES);
  return Array.from({ length: count }, (_, at) =>
    bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES),
  );
}

async function measureCompute(
  ask: Ask,
  { draw }: MeasureWish,
): Promise<Pick<Shown, 'roundsPerSecond' | 'lanes'>> {
  const { question, result, tookMs } = await ask<'compute'>({
    part: 'compute',
    tasks: TASKS,
    rounds: ROUNDS,
  });
  for (let turn = 0; turn < TASKS_CHECKED; turn += 1) {
    const task = draw() % TASKS;
    const expected = await compute(question, String(task), ROUNDS, HASH_BYTES, 'sha256');
    const said = result.outputs.subarray(task * HASH_BYTES, (task + 1) * HASH_BYTES);
    if (isSameBytes(expected, said)) continue;
    throw new MeasuringError('COMPUTE_WRONG', 'The node computed something else than was asked.');
  }
  const roundsPerSecond = Math.round((TASKS * ROUNDS * SECOND_MS) / Math.max(1, tookMs));
  return { roundsPerSecond, lanes: result.lanes };
}

async function measureNetwork(ask: Ask, { own }: MeasureWish): Promise<number> {
  const { question, result, tookMs } = await ask<'network'>({
    part: 'network',
    sampleBytes: SAMPLE_BYTES,
  });
  if (result.sha256 !== sha256Hex(sampleOf(own, question))) {
    throw new MeasuringError('SAMPLE_WRONG', 'The node did not get the bytes that were sent.');
  }
  return Math.round((SAMPLE_BYTES * SECOND_MS) / Math.max(1, tookMs));
}

/** Bytes for one question that only whoever has the directory's key can make. */
export function sampleOf({ keys }: OwnIdentity, question: string): Uint8Array {
  const hash = createHash('sha256').update('zos sample v1').update(keys.signing.secretKey);
  const key = hash.update(question).digest();
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return new Uint8Array(cipher.update(new Uint8Array(SAMPLE_BYTES)));
}
