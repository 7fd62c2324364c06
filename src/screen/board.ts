import type { ScreenFacts, ScreenLine } from './spec.ts';
import { openWaits, type Waits } from './waits.ts';

/** What a program has told its screen so far. */
export type Board = Waits & {
  /** Something that the screen shows from now on, in the place of what it showed of that before. */
  readonly shows: (facts: ScreenFacts) => void;
  readonly facts: () => ScreenFacts;
  /** What was said last, the newest at the end. */
  readonly lines: () => readonly ScreenLine[];
  /** A line for people; keeps the last ones. */
  readonly say: (text: string) => void;
};

const LINES_MAX = 20;

/** An empty board; `print` is where each line goes as well. */
export function openBoard(parts: {
  readonly print: (text: string) => void;
  readonly clockMs: () => number;
  /** What was said by the program before this one. */
  readonly before?: readonly ScreenLine[];
}): Board {
  const { print, clockMs } = parts;
  const lines = (parts.before ?? []).slice(-LINES_MAX);
  let facts: ScreenFacts = {};
  const say = (text: string): void => {
    lines.push({ text, atMs: clockMs() });
    if (lines.length > LINES_MAX) lines.shift();
    print(text);
  };
  return {
    ...openWaits({ say, clockMs }),
    say,
    shows: (more) => {
      facts = { ...facts, ...more };
    },
    facts: () => facts,
    lines: () => [...lines],
  };
}
