import type { Wants } from '../../contract/wants.ts';
import type { Identity } from '../../identity/document.ts';
import type { Envelope, Signer } from '../../identity/envelope.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { MINUTE_MS } from '../../lib/units.ts';
import { mayUpdate } from '../../rollout/plan.ts';
import type { BadMark, Judgement, ReleaseKind } from '../../rollout/spec.ts';
import { openTurnAnswer, signTurnWish } from '../../rollout/verify.ts';
import type { PolicyHolder } from './policy.ts';

const RETRY_MS = MINUTE_MS;

export type UpdateWish = {
  readonly what: ReleaseKind;
  /** The release that runs. */
  readonly from: string | null;
  readonly to: string;
  /** What this node found bad. */
  readonly bad: readonly BadMark[];
};

/** Whether this node may change to another release: by its own checks, then in its turn. */
export type Turns = {
  /** Of the policy that is held, 0 for none; a bad mark is made with it. */
  readonly policyVersion: () => number;
  /** Takes in the farmer's policy, if the directory has a newer one. */
  readonly take: (wants: Wants) => Promise<void>;
  /** To be asked when everything is fetched and verified, right before the change. */
  readonly mayUpdate: (wish: UpdateWish) => Promise<Judgement>;
};

export type TurnsParts = {
  readonly grid: string;
  readonly node: string;
  readonly signer: Signer;
  readonly policy: PolicyHolder;
  readonly directory: Identity;
  readonly send: (wish: Envelope) => Promise<Envelope>;
  readonly nextSeq: (nowMs: number) => Promise<number>;
  readonly clock: () => number;
  readonly isClockSynced: () => boolean;
  readonly onBad: (what: string, error: unknown) => void;
};

/**
 * The directory can only withhold: a node asks for its turn after it judged by itself, by what its
 * farmer signed, and judges once more before it goes.
 */
export function openTurns(parts: TurnsParts): Turns {
  const { policy, clock } = parts;
  const judgeAlone = ({ what, to, bad }: UpdateWish) =>
    mayUpdate({
      what,
      bad,
      release: to,
      policy: policy.current(),
      nowMs: clock(),
      isClockSynced: parts.isClockSynced(),
    });
  return {
    policyVersion: () => policy.current()?.version ?? 0,
    take: async ({ updatePolicy }) => {
      if (updatePolicy === undefined) return;
      await policy.take(updatePolicy.policy).catch((error: unknown) => {
        parts.onBad('update policy', error);
      });
    },
    mayUpdate: async (wish) => {
      const alone = judgeAlone(wish);
      if (alone !== undefined) return alone;
      const judgement = await askDirectory(parts, wish);
      return judgement.may ? (judgeAlone(wish) ?? judgement) : judgement;
    },
  };
}

async function askDirectory(parts: TurnsParts, wish: UpdateWish): Promise<Judgement> {
  const { grid, node, signer, directory, clock } = parts;
  try {
    const atMs = clock();
    const seq = await parts.nextSeq(atMs);
    const { what, from, to } = wish;
    const signed = signTurnWish({ grid, node, seq, atMs, what, from, to }, signer);
    return openTurnAnswer(await parts.send(signed), directory, { grid, node, wish: signed });
  } catch (error) {
    const because = `the directory gave no turn: ${codeOf(error)} ${sentenceOf(error)}`;
    return {
      may: false,
      code: 'DIRECTORY_SILENT',
      because: because.slice(0, 500),
      retryMs: RETRY_MS,
    };
  }
}
