import {
  type Envelope,
  type Signer,
  signEnvelope,
  untrustedPayload,
} from '../identity/envelope.ts';
import { sha256Hex } from '../lib/bytes.ts';
import {
  type Cancellation,
  cancellationSchema,
  type Contract,
  contractSchema,
  type Erasure,
  erasureSchema,
  type Question,
  questionSchema,
} from './spec.ts';

/** Signs a contract; throws `ZodError` on one that no node would take. */
export function signContract(contract: Contract, ...signers: Signer[]): Envelope {
  return signEnvelope('contract', contractSchema.parse(contract), ...signers);
}

/** The SHA-256 of a signed contract's payload: its id in version 1, its digest in every version. */
export function contractDigest(envelope: Envelope): string {
  return sha256Hex(untrustedPayload(envelope, 'contract'));
}

/** A cancellation as it may travel; throws when it is not of its own form. */
export function signCancellation(cancellation: Cancellation, ...signers: Signer[]): Envelope {
  return signEnvelope('cancellation', cancellationSchema.parse(cancellation), ...signers);
}

/** An erasure as it may travel; throws when it is not of its own form. */
export function signErasure(erasure: Erasure, ...signers: Signer[]): Envelope {
  return signEnvelope('erasure', erasureSchema.parse(erasure), ...signers);
}

/** A question as it may travel; throws when it is not of its own form. */
export function signQuestion(question: Question, ...signers: Signer[]): Envelope {
  return signEnvelope('question', questionSchema.parse(question), ...signers);
}
