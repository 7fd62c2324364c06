import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { writeDurably } from '../../host/files.ts';
import { type BadMark, badMarkSchema } from '../../rollout/spec.ts';

/** A node does not try more than so many bad releases before somebody looks at it. */
const MARKS_MAX = 16;

/** The releases that this node tried and left again. */
export type BadMarks = {
  readonly all: () => readonly BadMark[];
  readonly add: (mark: BadMark) => Promise<void>;
};

/**
 * The marks, kept on the data disk, or without one until the machine restarts. Who can write the
 * file can have a bad release tried again, or keep a good one from being tried.
 */
export async function openBadMarks(path: string): Promise<BadMarks> {
  let marks: readonly BadMark[] = await readMarks(path);
  return {
    all: () => marks,
    add: async (mark) => {
      const others = marks.filter(({ sha256 }) => sha256 !== mark.sha256);
      marks = [...others, mark].slice(-MARKS_MAX);
      await writeDurably({ path, bytes: JSON.stringify(marks) });
    },
  };
}

async function readMarks(path: string): Promise<BadMark[]> {
  try {
    return z.array(badMarkSchema).parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return [];
  }
}
