import { z } from 'zod';
import { idSchema } from '../../identity/document.ts';
import { gridSchema } from '../../identity/farm.ts';
import { fromBase64 } from '../../lib/bytes.ts';
import { GiB, MiB } from '../../lib/units.ts';
import { BLOCK_BYTES, SAMPLES } from './plot.ts';
import { HASH_BYTES } from './tree.ts';

/** The most that one challenge fills of a node's memory and of its disk. */
export const SPACE_BYTES_MAX = GiB;
export const SAMPLE_BYTES_MAX = 16 * MiB;
export const COMPUTE_TASKS_MAX = 256;
export const COMPUTE_ROUNDS_MAX = 100_000;
/** Three hashes a sample and their paths, of the largest plot, for memory and for disk. */
const HASHES_BYTES_MAX = 3 * SAMPLES * 21 * HASH_BYTES;

const hex32Schema = z.string().regex(/^[0-9a-f]{64}$/);
const spaceSchema = z
  .int()
  .min(0)
  .max(SPACE_BYTES_MAX)
  .refine((bytes) => isSpace(bytes), 'nothing, or a power of two from 64 KiB');

/** What a directory asks a node to do, to see what it has. */
export const taskSchema = z.discriminatedUnion('part', [
  /** Fill so much memory and disk with what only this question makes, and tell the roots. */
  z.strictObject({ part: z.literal('space'), memoryBytes: spaceSchema, diskBytes: spaceSchema }),
  /** Show some of what was filled for that question. */
  z.strictObject({ part: z.literal('open'), of: idSchema, seed: hex32Schema }),
  /** PBKDF2-HMAC-SHA-256 of the question's id, so many times with so many rounds. */
  z.strictObject({
    part: z.literal('compute'),
    tasks: z.int().min(1).max(COMPUTE_TASKS_MAX),
    rounds: z.int().min(1).max(COMPUTE_ROUNDS_MAX),
  }),
  /** Fetch so many bytes that nobody knows beforehand, and tell their SHA-256. */
  z.strictObject({ part: z.literal('network'), sampleBytes: z.int().min(1).max(SAMPLE_BYTES_MAX) }),
]);
export type Task = z.infer<typeof taskSchema>;
export type TaskOf<Part extends Task['part']> = Extract<Task, { part: Part }>;

const bytesSchema = (most: number) =>
  z
    .string()
    .max(Math.ceil(most / 3) * 4)
    .transform((text) => fromBase64(text) ?? new Uint8Array());
const openingSchema = z
  .strictObject({
    blocks: bytesSchema(SAMPLES * BLOCK_BYTES),
    hashes: bytesSchema(HASHES_BYTES_MAX),
  })
  .nullable();

/** What a node answers to each; `busy` where its tenants need the machine. */
export const RESULTS = {
  space: z.strictObject({
    memoryBytes: spaceSchema,
    memoryRoot: hex32Schema,
    diskBytes: spaceSchema,
    diskRoot: hex32Schema,
  }),
  open: z.strictObject({ memory: openingSchema, disk: openingSchema }),
  compute: z.strictObject({
    /** Tasks that ran at a time. */
    lanes: z.int().min(1).max(4096),
    outputs: bytesSchema(COMPUTE_TASKS_MAX * HASH_BYTES),
  }),
  network: z.strictObject({ sha256: hex32Schema }),
} as const;
export const busySchema = z.strictObject({ busy: z.string().max(200) });

export const measurementSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  /** The offer that the node made then. */
  offer: idSchema,
  atMs: z.int().positive(),
  /** Why there is nothing, or less than was asked for; empty when all was shown. */
  because: z.string().max(300),
  /** Filled at the same time, and shown at places that were picked after. */
  memoryBytes: z.int().min(0),
  diskBytes: z.int().min(0),
  /** From question to answer by the directory's clock, so a node is never slower than this. */
  spaceMs: z.int().min(0).nullable(),
  /** Rounds of HMAC-SHA-256 a second, on so many processors at a time. */
  roundsPerSecond: z.int().min(0).nullable(),
  lanes: z.int().min(0).nullable(),
  /** From this directory to the node. */
  bytesPerSecond: z.int().min(0).nullable(),
  /** SHA-256 over the payloads of the questions and what was answered, in their order. */
  evidence: idSchema,
});
/** What a node showed that it has, as a directory measured and signed it. */
export type Measurement = z.infer<typeof measurementSchema>;

/** The largest power of two that is no more than this, or nothing below 64 KiB. */
export function spaceBelow(bytes: number): number {
  const most = Math.min(bytes, SPACE_BYTES_MAX);
  return most < 64 * BLOCK_BYTES ? 0 : 2 ** Math.floor(Math.log2(most));
}

function isSpace(bytes: number): boolean {
  return bytes === spaceBelow(bytes);
}
