import { randomBytes } from 'node:crypto';
import { credentialFor } from '../../src/attestation/challenge.ts';
import { verifyAttestation } from '../../src/attestation/verify.ts';
import { bootAttestor, measurementsOf, nonceOf } from '../support/tpm/machine.ts';
import { openTpmLab } from '../support/tpm/software-tpm.ts';
import type { Figure } from './figure.ts';

const ROUNDS = 25;

/** What a proof costs its node, with a software TPM on this machine, and who judges it. */
export const ATTESTATION_FIGURES: readonly Figure[] = [
  {
    name: 'attest-node',
    what: 'a question to a TPM: credential opened, quote, registers, log',
    unit: 'ms',
    reach: 500,
    measure: async () => (await timed()).answeredMs,
  },
  {
    name: 'attest-check',
    what: 'all checks of one answer',
    unit: 'ms',
    reach: 5,
    measure: async () => (await timed()).judgedMs,
  },
];

/** The middle one of many questions. */
async function timed(): Promise<{ answeredMs: number; judgedMs: number }> {
  await using lab = await openTpmLab();
  await using machine = await bootAttestor({ tpm: await lab.make() });
  const measurements = measurementsOf(await lab.certificates());
  const { endorsement, answer } = machine.attestor;
  const answered: number[] = [];
  const judged: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const secrets = { secret: randomBytes(32), seed: randomBytes(32) };
    const credential = credentialFor(endorsement, measurements, secrets);
    const nonce = nonceOf(`${round}`);
    const startedMs = performance.now();
    const evidence = await answer({ nonce, credential });
    const answeredMs = performance.now();
    const challenge = { nonce, secret: secrets.secret, endorsement };
    verifyAttestation({ evidence, challenge, measurements });
    answered.push(answeredMs - startedMs);
    judged.push(performance.now() - answeredMs);
  }
  return { answeredMs: middleOf(answered), judgedMs: middleOf(judged) };
}

function middleOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
