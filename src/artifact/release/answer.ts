import { z } from 'zod';
import { verifyIdentity } from '../../identity/document.ts';
import {
  type Envelope,
  envelopeSchema,
  openEnvelope,
  parsePayload,
  type Signer,
  signEnvelope,
} from '../../identity/envelope.ts';
import { gridSchema } from '../../identity/farm.ts';
import { sha256Schema } from '../../lib/names.ts';
import { ArtifactError, versionsSchema } from '../spec.ts';

/** 32 digits of hex, never used before: an old answer is worth nothing. */
export const nonceSchema = z.string().regex(/^[0-9a-f]{32}$/);

const bootAnswerSchema = z.strictObject({
  grid: gridSchema,
  nonce: nonceSchema,
  timeMs: z.int().positive(),
  /** Of metadata that the directory verified itself; `null` until it was given any. */
  lowest: z.strictObject({ versions: versionsSchema, rootSha256: sha256Schema }).nullable(),
});
/** What a directory tells a machine that boots: the time, and what not to go back to. */
export type BootAnswer = z.infer<typeof bootAnswerSchema>;

/** An answer as it travels, with the identity that signed it. */
export const signedBootAnswer = z.strictObject({
  answer: envelopeSchema,
  directory: envelopeSchema,
});
export type SignedBootAnswer = z.infer<typeof signedBootAnswer>;

/** Signs for one asker. */
export function signBootAnswer(answer: BootAnswer, signer: Signer): Envelope {
  return signEnvelope('boot-answer', bootAnswerSchema.parse(answer), signer);
}

/**
 * The answer of the directory that a signed `grid.json` names, to the question that was asked.
 * Throws `ArtifactError` and what the checks of `src/identity` throw.
 */
export function verifyBootAnswer(
  signed: SignedBootAnswer,
  asked: { readonly grid: string; readonly directory: string; readonly nonce: string },
): BootAnswer {
  const { keys } = verifyIdentity(signed.directory, asked.directory);
  const answer = parsePayload(openEnvelope(signed.answer, 'boot-answer', keys), bootAnswerSchema);
  if (answer.grid === asked.grid && answer.nonce === asked.nonce) return answer;
  throw new ArtifactError('ROLLED_BACK', 'The directory answered another question; ask again.', {
    facts: { artifact: 'directory' },
  });
}
