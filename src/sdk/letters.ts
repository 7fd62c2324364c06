import { z } from 'zod';
import { exchange, fetchBytes, HttpError } from '../host/http.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { KiB, MiB, SECOND_MS } from '../lib/units.ts';
import { cancellationBody } from './api.ts';

/** The longest letter, and the most that wait for one node. */
export const LETTER_BYTES_MAX = 64 * KiB;
export const NODE_LETTERS_MAX = 64;

const ANSWER_BYTES_MAX = NODE_LETTERS_MAX * LETTER_BYTES_MAX + MiB;
const DEADLINE_MS = 10 * SECOND_MS;

/** A cancellation on its way to a node past a directory that is silent, or keeps it back. */
export type Letter = z.infer<typeof cancellationBody>;
export const lettersAnswer = z.strictObject({
  items: z.array(cancellationBody).max(NODE_LETTERS_MAX),
});

export type LetterWish = { readonly url: string; readonly signal?: AbortSignal };

/** Leaves a letter with a witness; throws `HttpError` when it is not taken. */
export async function putLetter(wish: LetterWish, letter: Letter): Promise<void> {
  const url = lettersUrl(wish.url);
  const { status } = await exchange({
    ...wish,
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(letter),
    deadlineMs: DEADLINE_MS,
  });
  if (status === 200) return;
  const sentence = `The witness at ${wish.url} did not take the letter: status ${status}.`;
  throw new HttpError('HTTP_STATUS', sentence, { facts: { status, url } });
}

/** The letters that wait for a node, none of them checked. Throws `HttpError`, `JsonError`. */
export async function readLetters(wish: LetterWish, node: string): Promise<readonly Letter[]> {
  const url = `${lettersUrl(wish.url)}?node=${node}`;
  const bytesMax = ANSWER_BYTES_MAX;
  const bytes = await fetchBytes({ ...wish, url, bytesMax, deadlineMs: DEADLINE_MS });
  return lettersAnswer.parse(parseStrictJson(bytes, { bytesMax, depthMax: 12 })).items;
}

function lettersUrl(url: string): string {
  return `${url.replace(/\/+$/u, '')}/v1/cancellations`;
}
