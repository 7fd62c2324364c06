import { randomBytes } from 'node:crypto';
import { EXTENDED_PATH } from '../../attestation/apply.ts';
import { credentialFor } from '../../attestation/challenge.ts';
import { type Attestor, EVENT_LOG_PATH, openAttestor } from '../../attestation/observe.ts';
import { type Endorsement, type Measurements } from '../../attestation/spec.ts';
import { verifyAttestation } from '../../attestation/verify.ts';
import { findClass, type BootFacts, type FoundClass, type Proof } from '../../capacity/class.ts';
import { openTpm, TpmError } from '../../host/tpm/device.ts';
import { toHex } from '../../lib/bytes.ts';
import { sentenceOf } from '../../lib/errors.ts';
import type { QuestionParts } from '../questions.ts';

/** What this boot is worth, and how others can ask. */
export type OwnClass = FoundClass & {
  readonly facts: BootFacts;
  readonly endorsement: Endorsement | null;
  /** How long the TPM took for its own proof; none where there is no proof. */
  readonly answeredMs: number | null;
  readonly attest: QuestionParts['attest'];
};

export type ClassParts = {
  readonly facts: BootFacts;
  /** Out of the signed release; none when it has none. */
  readonly measurements: Measurements | undefined;
  readonly tpmPath?: string;
  readonly eventLogPath?: string;
  readonly extendedPath?: string;
};

/**
 * Finds the class of this boot, by asking the machine's own TPM as anybody else would: what the
 * node says of itself is then what others will find. The TPM stays open as long as the agent.
 */
export async function findOwnClass(parts: ClassParts): Promise<OwnClass> {
  const attestor = await openOwn(parts).catch((error: unknown) => sentenceOf(error));
  if (typeof attestor === 'string') {
    const found = findClass(parts.facts, { isProven: false, because: attestor });
    const attest = async (): Promise<never> => {
      throw new TpmError('TPM_ABSENT', `This node can't prove its boot: ${attestor}`);
    };
    return { ...found, facts: parts.facts, endorsement: null, answeredMs: null, attest };
  }
  const { answeredMs, ...proof } = await proveToSelf(attestor, parts.measurements);
  return {
    ...findClass(parts.facts, proof),
    facts: parts.facts,
    answeredMs,
    endorsement: attestor.endorsement,
    attest: async ({ id, credential }) => attestor.answer({ nonce: id, credential }),
  };
}

async function openOwn(parts: ClassParts): Promise<Attestor> {
  const tpm = await openTpm(parts.tpmPath === undefined ? {} : { path: parts.tpmPath });
  try {
    const { eventLogPath = EVENT_LOG_PATH, extendedPath = EXTENDED_PATH } = parts;
    return await openAttestor({ tpm, eventLogPath, extendedPath });
  } catch (error) {
    await tpm[Symbol.asyncDispose]();
    throw error;
  }
}

async function proveToSelf(
  attestor: Attestor,
  measurements: Measurements | undefined,
): Promise<Proof & { readonly answeredMs: number | null }> {
  if (measurements === undefined) {
    const because = 'the release says nothing of what a TPM has to have seen';
    return { isProven: false, because, answeredMs: null };
  }
  let answeredMs: number | null = null;
  try {
    const secrets = { secret: randomBytes(32), seed: randomBytes(32) };
    const { endorsement } = attestor;
    const credential = credentialFor(endorsement, measurements, secrets);
    const nonce = toHex(randomBytes(32));
    const startedMs = performance.now();
    const evidence = await attestor.answer({ nonce, credential });
    answeredMs = Math.round(performance.now() - startedMs);
    const challenge = { nonce, secret: secrets.secret, endorsement };
    verifyAttestation({ evidence, challenge, measurements });
    return { isProven: true, answeredMs };
  } catch (error) {
    return { isProven: false, because: sentenceOf(error), answeredMs };
  }
}
