import { credentialFor } from '../attestation/challenge.ts';
import type { Endorsement, Measurements } from '../attestation/spec.ts';
import {
  type Challenge,
  type VerifiedAttestation,
  verifyAttestation,
} from '../attestation/verify.ts';
import type { Identity } from '../identity/document.ts';
import type { Envelope } from '../identity/envelope.ts';
import type { SecretKeys } from '../identity/keys.ts';
import { toHex } from '../lib/bytes.ts';
import { openAnswer, questionId } from './question.ts';
import { signQuestion } from './sign.ts';

/** Everything that a question for a proof is made of; both secrets are 32 bytes of chance. */
export type AttestWish = {
  readonly grid: string;
  readonly node: Identity;
  readonly endorsement: Endorsement;
  readonly measurements: Measurements;
  readonly asker: { readonly id: string; readonly keys: SecretKeys };
  readonly chance: (lengthBytes: number) => Uint8Array;
  readonly nowMs: number;
};

export type AttestQuestion = {
  /** By which the answer is found. */
  readonly id: string;
  readonly envelope: Envelope;
  /** What the node answered, judged; throws `AttestationError`, `QuestionError` and below. */
  readonly judge: (answer: Envelope) => VerifiedAttestation;
};

/**
 * A question that only the node's own TPM can answer well. The quote has to carry the question's
 * id, so it is of this node, this asker and this moment. Throws `AttestationError` when what the
 * node offered can't be asked at all.
 */
export function askAttestation(wish: AttestWish): AttestQuestion {
  const { grid, node, endorsement, measurements, asker, chance } = wish;
  const secrets = { secret: chance(32), seed: chance(32) };
  const credential = credentialFor(endorsement, measurements, secrets);
  const envelope = signQuestion(
    {
      grid,
      ask: 'attest',
      node: node.id,
      tenant: asker.id,
      credential,
      nonce: toHex(chance(16)),
      atMs: wish.nowMs,
    },
    asker.keys.signing,
  );
  const id = questionId(envelope);
  const challenge: Challenge = { nonce: id, secret: secrets.secret, endorsement };
  return {
    id,
    envelope,
    judge: (answer) => {
      const sealing = asker.keys.sealing.secretKey;
      const evidence = openAnswer(answer, { node, grid, question: id }, sealing);
      return verifyAttestation({ evidence, challenge, measurements });
    },
  };
}
