import { mkdir, readdir } from 'node:fs/promises';
import { z } from 'zod';
import { readText, writeDurably } from '../../host/files.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB, MiB } from '../../lib/units.ts';
import { parseStrictJson } from '../../lib/strict-json.ts';

/** Heads that are still to be compared with the newest one; more are a sign of trouble. */
export const DOUBTS_MAX = 32;
const EVIDENCE_FILES_MAX = 16;
const NOTE_LENGTH_MAX = 128 * KiB;
const FILE_BYTES_MAX = 8 * MiB;

const rememberedSchema = z.strictObject({
  /** The signed checkpoint that was verified last; `null` before the first. */
  checkpoint: z.string().max(NOTE_LENGTH_MAX).nullable(),
  /** Up to this number, every entry for this node was seen. */
  seq: z.int().min(0),
  /** Signed checkpoints out of proofs, not compared yet. */
  doubts: z.array(z.string().max(NOTE_LENGTH_MAX)).max(DOUBTS_MAX),
});
export type Remembered = z.infer<typeof rememberedSchema>;

/**
 * What a node remembers of the record, and what it caught a directory with.
 *
 * Who can write here gains little: they make the node forget how far it saw, so that it would take
 * a second history for the first one, if enough witnesses cosigned that. They can't make it believe
 * a head: checkpoints are verified again when they are read.
 */
export type RecordStore = {
  readonly load: () => Promise<Remembered | undefined>;
  readonly save: (remembered: Remembered) => Promise<void>;
  /** Keeps what proves a lie, the first of it; later ones change nothing in what is proven. */
  readonly keepEvidence: (atMs: number, evidence: unknown) => Promise<void>;
};

/** Opens a folder as the store, made if it is missing. */
export async function openRecordStore(folder: string): Promise<RecordStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = `${folder}/seen.json`;
  return {
    load: async () => {
      try {
        const text = await readText(path, FILE_BYTES_MAX);
        if (text === undefined) return undefined;
        const value = parseStrictJson(utf8(text), { bytesMax: FILE_BYTES_MAX, depthMax: 3 });
        return rememberedSchema.parse(value);
      } catch {
        return undefined;
      }
    },
    save: async (remembered) => writeDurably({ path, bytes: JSON.stringify(remembered) }),
    keepEvidence: async (atMs, evidence) => {
      const kept = (await readdir(folder)).filter((name) => name.startsWith('evidence-'));
      if (kept.length >= EVIDENCE_FILES_MAX) return;
      const bytes = JSON.stringify(evidence, undefined, 2);
      await writeDurably({ path: `${folder}/evidence-${atMs}.json`, bytes });
    },
  };
}
