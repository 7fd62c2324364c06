import { ZosError } from '../src/lib/errors.ts';
import { BootError } from './errors.ts';

/** What a command of `zos boot` and `zos release` knows of the process and the machine. */
export type Surroundings = {
  /** The repository. */
  readonly root: string;
  /** Where `zos` keeps its user's keys and memory. */
  readonly home: string;
  readonly directoryUrl: string | undefined;
  readonly isJson: boolean;
  /** Answers. */
  readonly out: (text: string) => void;
  /** Everything about the way there. */
  readonly err: (text: string) => void;
  readonly nowMs: () => number;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
};

/** Exit codes, the same as those of `zos`. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  unreachable: 5,
  interrupted: 130,
} as const;

const USAGE_CODES: readonly string[] = ['USAGE', 'PART_MISSING', 'KEY_DAMAGED', 'LINK_MISSING'];

/** The exit code that an error ends a command with. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof BootError) {
    return USAGE_CODES.includes(error.code) ? EXIT.usage : EXIT.failed;
  }
  if (!(error instanceof ZosError)) return EXIT.failed;
  return error.code.startsWith('HTTP_') ? EXIT.unreachable : EXIT.refused;
}

/** Prints a command's answer: the value as JSON when that was asked for, else the text. */
export function answer({ isJson, out }: Surroundings, value: unknown, text: string): void {
  out(isJson ? `${JSON.stringify(value)}\n` : text);
}
