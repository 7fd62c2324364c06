import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Measurements } from '../../attestation/spec.ts';
import { AttestationError } from '../../attestation/spec.ts';
import { verifyOffer } from '../../capacity/verify.ts';
import { askAttestation } from '../../contract/attest.ts';
import { verifySignedQuestion } from '../../contract/question.ts';
import type { Log } from '../../host/log.ts';
import { verifyIdentity } from '../../identity/document.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import type { Proof } from '../../sdk/api.ts';
import type { OwnIdentity } from '../keys.ts';
import type { Store } from '../store.ts';

/** So long a proof counts, and so often a node is asked again; at every registration as well. */
export const PROOF_MS = 60 * MINUTE_MS;
const ASK_AGAIN_MS = 15 * MINUTE_MS;
const ANSWER_WAIT_MS = 60 * SECOND_MS;
const LOOK_EVERY_MS = 200;
const LOOK_AFTER_FAILURE_MS = 5 * SECOND_MS;
/** Nodes that are asked at the same time. */
const AT_ONCE_MAX = 8;
const NODES_PER_PAGE = 200;

export type ProverParts = {
  readonly grid: string;
  readonly own: OwnIdentity;
  readonly store: Store;
  /** Out of the newest signed release that the directory knows. */
  readonly measurements: () => Promise<Measurements | undefined>;
  readonly nowMs: () => number;
  readonly log: Log;
};

/** Asks nodes that say they are `attested` for the proof, and keeps what they could prove. */
export type Prover = {
  /** Asks this node soon: it registered. */
  readonly ask: (node: string) => void;
  /** Asks what is due again, until the signal fires. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

/** The directory's own verifier; anybody else can ask the same and gets the same answer. */
export function openProver(parts: ProverParts): Prover {
  const due = new Set<string>();
  const askedAtMs = new Map<string, number>();
  const under = new Set<Promise<void>>();
  const begin = (node: string, signal: AbortSignal): void => {
    due.delete(node);
    askedAtMs.set(node, parts.nowMs());
    const work = prove(parts, node, signal).catch((error: unknown) => {
      if (signal.aborted) return;
      parts.log.warn({ node, code: codeOf(error), sentence: sentenceOf(error) }, 'no proof');
    });
    under.add(work);
    void work.finally(() => under.delete(work));
  };
  const gather = async (): Promise<void> => {
    let cursor: number | null = 0;
    while (cursor !== null) {
      const page = await parts.store.nodes({ cursor, limit: NODES_PER_PAGE });
      for (const { id } of page.items) {
        if (parts.nowMs() - (askedAtMs.get(id) ?? 0) >= ASK_AGAIN_MS) due.add(id);
      }
      cursor = page.next;
      // A grid has many pages, and nobody else waits for all of them.
      await nextTurn();
    }
  };
  const hasRelease = async () => (await parts.measurements()) !== undefined;
  let gatherRound = 0;
  const look = async (rounds: number, signal: AbortSignal): Promise<void> => {
    // Without a release there is nothing to hold an answer against; who is due stays due.
    const isGatherTime = rounds >= gatherRound;
    const isReady = (isGatherTime || due.size > 0) && (await hasRelease());
    if (isGatherTime && isReady) {
      await gather();
      gatherRound = rounds + MINUTE_MS / LOOK_EVERY_MS;
    }
    for (const node of isReady ? due : []) {
      if (under.size >= AT_ONCE_MAX) break;
      begin(node, signal);
    }
  };
  return {
    ask: (node) => void due.add(node),
    run: async (signal) => {
      for (let rounds = 0; !signal.aborted; rounds += 1) {
        // A database that is away for a while is no reason to stop asking for good.
        let waitMs = LOOK_EVERY_MS;
        await look(rounds, signal).catch((error: unknown) => {
          parts.log.warn({ code: codeOf(error), sentence: sentenceOf(error) }, 'nobody was asked');
          waitMs = LOOK_AFTER_FAILURE_MS;
        });
        await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      }
      await Promise.all(under);
    },
  };
}

async function prove(parts: ProverParts, node: string, signal: AbortSignal): Promise<void> {
  const { grid, own, store, nowMs } = parts;
  const measurements = await parts.measurements();
  const said = await store.node(node);
  if (said === undefined || measurements === undefined) return;
  const identity = verifyIdentity(said.identity, node);
  const offer = verifyOffer(said.offer, identity, grid);
  if (offer.class !== 'attested' || offer.endorsement === null) return;
  const base = { offerId: offer.id, atMs: nowMs(), untilMs: nowMs() + PROOF_MS };
  try {
    const { endorsement } = offer;
    const question = askAttestation({
      grid,
      endorsement,
      measurements,
      asker: own,
      nowMs: nowMs(),
      node: identity,
      chance: randomBytes,
    });
    const carried = { question: question.envelope, tenant: own.document };
    const value = verifySignedQuestion(carried, { grid, nowMs: nowMs() });
    const asked = { value, envelope: question.envelope };
    await store.ask({ question: asked, asker: own.document, nowMs: nowMs() });
    const answer = await waitForAnswer(parts, question.id, signal);
    const { release, tpm } = question.judge(answer);
    await store.putProof(node, { ...base, isProven: true, release, tpm, because: '' });
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
    const because = `${error.code}: ${error.message}`.slice(0, 500);
    const proof: Proof = { ...base, isProven: false, release: null, tpm: null, because };
    await store.putProof(node, proof);
  }
}

async function waitForAnswer(
  { store, nowMs }: ProverParts,
  question: string,
  signal: AbortSignal,
): Promise<Envelope> {
  const untilMs = nowMs() + ANSWER_WAIT_MS;
  while (nowMs() < untilMs) {
    const answer = await store.answer(question, nowMs());
    if (answer) return answer;
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
  throw new Error('The node has not answered for its TPM.');
}
