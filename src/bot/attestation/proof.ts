import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurements } from '../../attestation/spec.ts';
import { AttestationError } from '../../attestation/spec.ts';
import type { VerifiedAttestation } from '../../attestation/verify.ts';
import { askAttestation } from '../../contract/attest.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import type { Grid, KnownNode } from '../grid.ts';
import type { Self } from '../store.ts';
import { shortId } from '../terminal.ts';
import type { World } from '../world.ts';

const ANSWER_WAIT_MS = 60 * SECOND_MS;
const ASK_EVERY_MS = 300;

export type Prover = {
  readonly world: World;
  readonly grid: Grid;
  readonly self: Self;
  readonly measurements: Measurements;
};

export type Proven = {
  readonly attestation: VerifiedAttestation;
  /** From the question to the answer, over the directory. */
  readonly askedMs: number;
  /** What judging the answer took here. */
  readonly judgedMs: number;
};

/**
 * Asks a node's TPM by itself, whatever anybody else found; throws `AttestationError` with the
 * check that failed.
 */
export async function proveNode(
  { world, grid, self, measurements }: Prover,
  { identity, offer }: KnownNode,
): Promise<Proven> {
  if (offer.endorsement === null) {
    throw new AttestationError(
      'ENDORSEMENT_UNKNOWN',
      `Node ${shortId(identity.id)} has no TPM that can be asked; its class is its own word.`,
    );
  }
  const startedMs = world.nowMs();
  const question = askAttestation({
    grid: grid.name,
    node: identity,
    endorsement: offer.endorsement,
    measurements,
    asker: { id: self.identity.id, keys: self.keys },
    chance: randomBytes,
    nowMs: startedMs,
  });
  await grid.client.askQuestion({ question: question.envelope, tenant: self.document });
  const answer = await waitForAnswer(world, grid, { question: question.id, node: identity.id });
  const answeredMs = world.nowMs();
  const before = performance.now();
  const attestation = question.judge(answer);
  const judgedMs = performance.now() - before;
  return { attestation, askedMs: answeredMs - startedMs, judgedMs };
}

async function waitForAnswer(
  world: World,
  grid: Grid,
  wish: { readonly question: string; readonly node: string },
): Promise<Envelope> {
  const startedMs = world.nowMs();
  for (;;) {
    const answer = await grid.client.answer(wish.question);
    if (answer !== null) return answer;
    if (world.nowMs() - startedMs > ANSWER_WAIT_MS) {
      const sentence = `Node ${shortId(wish.node)} has not answered; see \`zos nodes\`.`;
      throw new BotError('TOO_SLOW', sentence);
    }
    await sleep(ASK_EVERY_MS, undefined, { signal: world.signal });
  }
}
