/** Something that is waited for: by `key` it is changed and taken back. */
export type Wait = {
  readonly key: string;
  /** What follows “waits for”. */
  readonly what: string;
  readonly sinceMs: number;
};

/** What is waited for now, and what went wrong last: for the screen, told as it changes. */
export type Waits = {
  /** What is waited for from now on, as it follows “waits for”; `null` when it is here. */
  readonly waits: (key: string, what: string | null) => void;
  /** Something that failed for good, or for now: one sentence, said behind `word`. */
  readonly failed: (sentence: string, word?: 'failed' | 'refused') => void;
  /** The one that waits longest comes first. */
  readonly waiting: () => readonly Wait[];
  readonly lastFailure: () => { readonly sentence: string; readonly atMs: number } | null;
};

const WAITS_MAX = 32;
const TEXT_MAX = 400;

/** A wait that is told again in the same words is not said again, and keeps its beginning. */
export function openWaits(parts: {
  readonly say: (text: string) => void;
  readonly clockMs: () => number;
}): Waits {
  const { say, clockMs } = parts;
  const all = new Map<string, Wait>();
  let failure: ReturnType<Waits['lastFailure']> = null;
  return {
    waits: (key, told) => {
      const before = all.get(key);
      if (told === null) {
        all.delete(key);
        return;
      }
      const what = plainLine(told, TEXT_MAX);
      if (before?.what === what || (before === undefined && all.size === WAITS_MAX)) return;
      all.set(key, { key, what, sinceMs: before?.sinceMs ?? clockMs() });
      say(`waits for ${what}`);
    },
    failed: (told, word = 'failed') => {
      const sentence = plainLine(told, TEXT_MAX);
      failure = { sentence, atMs: clockMs() };
      say(`${word} ${sentence}`);
    },
    waiting: () => [...all.values()],
    lastFailure: () => failure,
  };
}

/** Texts that come from a network must not move the cursor, or look like two lines. */
export function plainLine(text: string, charactersMax: number): string {
  return text.replaceAll(/[^\P{Cc}]+/gu, ' ').slice(0, charactersMax);
}
