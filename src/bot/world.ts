import type { Home } from './store.ts';
import type { Terminal } from './terminal.ts';

/** What every command is given, and all that it may use of its surroundings. */
export type World = {
  readonly home: Home;
  /** The directory that was asked for by option or environment. */
  readonly directoryUrl: string | undefined;
  readonly isJson: boolean;
  readonly terminal: Terminal;
  readonly nowMs: () => number;
  /** A variable of the environment that the bot runs in. */
  readonly environment: (name: string) => string | undefined;
  /** Everything on standard input; for what is secret, which is never an argument. */
  readonly input: () => Promise<string>;
  /** Fires on Ctrl-C: everything under way ends and cleans up. */
  readonly signal: AbortSignal;
};

/** Prints a command's answer: the value as JSON when that was asked for, else the text. */
export function answer(world: World, value: unknown, text: string): void {
  world.terminal.out(world.isJson ? `${JSON.stringify(value)}\n` : text);
}
