import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { busySchema, RESULTS, type Task } from '../../capacity/measured/spec.ts';
import { openAnswer, questionId, verifySignedQuestion } from '../../contract/question.ts';
import { signQuestion } from '../../contract/sign.ts';
import type { Identity } from '../../identity/document.ts';
import { sha256Hex, toHex } from '../../lib/bytes.ts';
import { parseStrictJson } from '../../lib/strict-json.ts';
import { KiB, SECOND_MS } from '../../lib/units.ts';
import type { OwnIdentity } from '../keys.ts';
import type { Store } from '../store.ts';
import { MeasuringError } from './measuring.ts';

const LOOK_EVERY_MS = 50;
const ANSWER_MS_MAX = 110 * SECOND_MS;
const RESULT_BYTES_MAX = 200 * KiB;

type Parts = {
  readonly grid: string;
  readonly own: OwnIdentity;
  readonly store: Store;
  readonly nowMs: () => number;
  readonly node: Identity;
  readonly signal: AbortSignal;
};

/** A task's answer, read and in form, and how long it took by the directory's clock. */
export type Asked<Part extends Task['part']> = {
  readonly question: string;
  readonly result: z.output<(typeof RESULTS)[Part]>;
  readonly tookMs: number;
};
export type Ask = <Part extends Task['part']>(
  task: Extract<Task, { part: Part }>,
) => Promise<Asked<Part>>;

/** Signed challenges to one node, and all that was asked and answered. */
export function openChallenges(parts: Parts): {
  readonly ask: Ask;
  /** A line for each question and for each answer: which it was, and the SHA-256 of it. */
  readonly transcript: () => string;
} {
  const lines: string[] = [];
  const ask: Ask = async <Part extends Task['part']>(task: Extract<Task, { part: Part }>) => {
    const { grid, own, store, nowMs, node } = parts;
    const question = signQuestion(
      {
        grid,
        ask: 'measure',
        node: node.id,
        tenant: own.id,
        task,
        nonce: toHex(randomBytes(16)),
        atMs: nowMs(),
      },
      own.keys.signing,
    );
    const id = questionId(question);
    const carried = { question, tenant: own.document };
    const value = verifySignedQuestion(carried, { grid, nowMs: nowMs() });
    const startedMs = performance.now();
    await store.ask({
      question: { value, envelope: question },
      asker: own.document,
      nowMs: nowMs(),
    });
    const answer = await waitForAnswer(parts, id);
    const tookMs = Math.round(performance.now() - startedMs);
    const plain = openAnswer(answer, { node, grid, question: id }, own.keys.sealing.secretKey);
    lines.push(`question ${id}`, `answer ${sha256Hex(plain)}`);
    return { question: id, tookMs, result: readResult<Part>(task.part, plain) };
  };
  return { ask, transcript: () => lines.map((line) => `${line}\n`).join('') };
}

function readResult<Part extends Task['part']>(
  part: Part,
  plain: Uint8Array,
): z.output<(typeof RESULTS)[Part]> {
  let value: unknown;
  try {
    value = parseStrictJson(plain, { bytesMax: RESULT_BYTES_MAX, depthMax: 4 });
  } catch (cause) {
    throw new MeasuringError('RESULT_MALFORMED', 'The node answered no JSON.', { cause });
  }
  const busy = busySchema.safeParse(value);
  if (busy.success) throw new MeasuringError('NODE_BUSY', `The node is busy: ${busy.data.busy}.`);
  const schema: z.ZodType = RESULTS[part];
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as z.output<(typeof RESULTS)[Part]>;
  throw new MeasuringError('RESULT_MALFORMED', 'The node answered something else than was asked.');
}

async function waitForAnswer({ store, nowMs, signal }: Parts, question: string) {
  const untilMs = performance.now() + ANSWER_MS_MAX;
  while (performance.now() < untilMs) {
    const answer = await store.answer(question, nowMs());
    if (answer) return answer;
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
  throw new MeasuringError('NODE_SILENT', 'The node did not answer the challenge in time.');
}
