import { z } from 'zod';

/** The most troubles that one sign of life tells of; the oldest of them. */
export const TROUBLES_MAX = 16;
export const TROUBLE_SENTENCE_MAX = 300;

/** Codes are open here, so that a directory takes those of nodes newer than itself. */
export const troubleSchema = z.strictObject({
  code: z.string().regex(/^[A-Z][A-Z0-9_]{2,59}$/u),
  /** What is wrong and what to do, for people. */
  sentence: z.string().min(1).max(TROUBLE_SENTENCE_MAX),
  sinceMs: z.int().min(0),
});
/** A state of a node that somebody has to know of, for as long as it lasts. */
export type Trouble = z.infer<typeof troubleSchema>;
