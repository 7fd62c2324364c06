import type { CarriedCancellation } from '../../contract/verify.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { Policy } from '../../record/policy.ts';
import { readLetters } from '../../sdk/letters.ts';

/** How often a witness is asked while the directory is silent, the next one each time. */
const ASK_MS = 15 * SECOND_MS;
/** While it answers, only every so many times: it may keep a cancellation back. */
const CALM_TURNS = 12;

export type LettersParts = {
  readonly node: string;
  readonly policy: Policy;
  readonly isSilent: () => boolean;
  /** Throws for what is no cancellation of a contract of this node. */
  readonly obey: (letter: CarriedCancellation) => Promise<void>;
  readonly onBad: (what: string, error: unknown) => void;
  readonly onTrouble: (what: string, error: unknown) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

/**
 * Looks into the letter boxes of the policy's witnesses, so that a tenant's word comes through
 * without the directory. A witness can keep a letter back; it can't make one up.
 */
export async function keepReading(parts: LettersParts, signal: AbortSignal): Promise<void> {
  const urls = [...parts.policy.witnesses.values()].flatMap(({ url }) => url ?? []);
  const seen = new Set<string>();
  const obey = async (letter: CarriedCancellation): Promise<void> => {
    const text = JSON.stringify(letter.cancellation);
    if (seen.has(text)) return;
    // One that can't be obeyed is told of once.
    if (seen.size < LETTERS_SEEN_MAX) seen.add(text);
    await parts.obey(letter).catch((error: unknown) => parts.onBad('letter', error));
  };
  for (let turn = 0, asked = 0; urls.length > 0; turn += 1) {
    await parts.sleep(ASK_MS, signal);
    if (signal.aborted) return;
    if (!parts.isSilent() && turn % CALM_TURNS !== 0) continue;
    const url = urls[asked % urls.length] ?? '';
    asked += 1;
    try {
      for (const letter of await readLetters({ url, signal }, parts.node)) await obey(letter);
    } catch (error) {
      if (signal.aborted) return;
      parts.onTrouble('letters', error);
    }
  }
}

const LETTERS_SEEN_MAX = 4096;
