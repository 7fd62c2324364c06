import { z } from 'zod';
import { idSchema } from '../../identity/document.ts';
import { gridSchema } from '../../identity/farm.ts';
import { ZosError } from '../../lib/errors.ts';
import { parseStrictJson } from '../../lib/strict-json.ts';
import { ANSWER_BYTES_MAX } from '../question.ts';

export class ExplanationError extends ZosError<'EXPLANATION_MALFORMED'> {}

/** The longest key, or words about a thing, that an explanation holds. */
export const KEY_LENGTH_MAX = 200;
export const WORDS_LENGTH_MAX = 500;
const ITEMS_MAX = 2048;
const LISTED_MAX = 64;

const keySchema = z.string().max(KEY_LENGTH_MAX);
const wordsSchema = z.string().max(WORDS_LENGTH_MAX);

const explainedWaitSchema = z.strictObject({
  because: z.enum(['fact', 'item', 'back-off', 'gave-up', 'unseen', 'busy', 'in-use', 'hope']),
  /** On what, for people, with numbers. */
  sentence: wordsSchema,
  sinceMs: z.int().positive(),
  /** When time alone ends it. */
  untilMs: z.int().positive().optional(),
});

const explainedItemSchema = z.strictObject({
  key: keySchema,
  /** In words; `null` where nobody wants it any more. */
  wants: wordsSchema.nullable(),
  /** In words; empty where there is nothing. */
  has: wordsSchema,
  /** Items and facts that it needs. */
  needs: z.array(keySchema).max(LISTED_MAX),
  steps: z
    .array(
      z.strictObject({
        do: z.enum(['create', 'update', 'replace', 'remove']),
        because: wordsSchema,
        /** Steps that come before it. */
        after: z.array(keySchema).max(LISTED_MAX),
      }),
    )
    .max(2),
  waits: z.array(explainedWaitSchema).max(LISTED_MAX),
});
export type ExplainedItem = z.infer<typeof explainedItemSchema>;

const explainedFactSchema = z.strictObject({
  key: keySchema,
  isMet: z.boolean(),
  because: wordsSchema,
});

export const explanationSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  /** When the node looked. */
  atMs: z.int().positive(),
  /** What has something to do, or waits, stands first. */
  items: z.array(explainedItemSchema).max(ITEMS_MAX),
  facts: z.array(explainedFactSchema).max(ITEMS_MAX),
  /** Items that had no room any more in one answer; nothing is to be done about any of them. */
  leftOut: z.int().min(0),
});
/** What a node wants, what it has, what it does next, and on what each thing waits. */
export type Explanation = z.infer<typeof explanationSchema>;

/** Reads what a node answered; throws `ExplanationError`. */
export function parseExplanation(bytes: Uint8Array): Explanation {
  try {
    const value = parseStrictJson(bytes, { bytesMax: ANSWER_BYTES_MAX, depthMax: 8 });
    return explanationSchema.parse(value);
  } catch (cause) {
    const sentence = 'The node explains itself in words that this version does not know.';
    throw new ExplanationError('EXPLANATION_MALFORMED', sentence, { cause });
  }
}
