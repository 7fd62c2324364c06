import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { codeOf, sentenceOf, ZosError } from '../src/lib/errors.ts';
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

/** What a main program has of its process. */
export type ProcessParts = {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
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

/** Runs one of the commands that `add` adds to a program; answers its exit code, never throws. */
export async function runCommands(
  parts: ProcessParts,
  about: { readonly name: string; readonly description: string; readonly after?: string },
  add: (program: Command, around: () => Surroundings) => void,
): Promise<number> {
  const { args, env, nowMs } = parts;
  const { stdout, stderr } = process;
  const stop = new AbortController();
  // Not once: execa, which then finds nobody else who listens, would end the process right away.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort());
  const program = new Command(about.name)
    .description(about.description)
    .option('--json', 'answers and errors as JSON, for programs')
    .addHelpText('after', about.after ?? '')
    .helpCommand(false)
    .configureHelp({ helpWidth: 96 })
    .exitOverride();
  const isJson = (): boolean => program.opts<{ json?: true }>().json === true;
  add(program, () => ({
    root: fileURLToPath(new URL('..', import.meta.url)),
    home: env['ZOS_HOME'] ?? join(homedir(), '.config/zos'),
    directoryUrl: env['ZOS_DIRECTORY'],
    isJson: isJson(),
    out: (text) => stdout.write(text),
    err: (text) => stderr.write(text),
    nowMs,
    signal: stop.signal,
  }));
  try {
    await program.parseAsync([...args], { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (stop.signal.aborted) return EXIT.interrupted;
    const told = { code: codeOf(error), sentence: sentenceOf(error) };
    const text = isJson() ? JSON.stringify({ error: told }) : `${about.name}: ${told.sentence}`;
    stderr.write(`${text}\n`);
    return exitCodeOf(error);
  }
}

const USAGE_CODES = new Set<string>([
  'USAGE',
  'PART_MISSING',
  'KEY_DAMAGED',
  'KEY_MISSING',
  'ROOT_UNSIGNED',
  'LINK_MISSING',
]);

function exitCodeOf(error: unknown): number {
  if (error instanceof BootError) {
    return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.failed;
  }
  if (!(error instanceof ZosError)) return EXIT.failed;
  return error.code.startsWith('HTTP_') ? EXIT.unreachable : EXIT.refused;
}

/** Prints a command's answer: the value as JSON when that was asked for, else the text. */
export function answer({ isJson, out }: Surroundings, value: unknown, text: string): void {
  out(isJson ? `${JSON.stringify(value)}\n` : text);
}
