import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ExecError, run, start } from '../../src/host/exec.ts';
import { BootError } from '../errors.ts';

export type Bot = {
  /** Keys and memory of whoever farms and deploys here. */
  readonly home: string;
  /** The command `zos` with these arguments, as a process of its own. */
  readonly command: (args: readonly string[]) => BotCommand;
  /** Runs the command `zos` to its end; throws `BootError` with the sentence that it gave. */
  readonly zos: (wish: ZosWish) => Promise<string>;
};

type BotCommand = {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
};

export type ZosWish = {
  readonly args: readonly string[];
  /** What it tells on the way there. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
};

export type BotWish = {
  readonly root: string;
  readonly home: string;
  readonly directoryUrl: string;
};

/** A bot with a home of its own, run as people run it: the command `zos` in a process. */
export function openBot({ root, home, directoryUrl }: BotWish): Bot {
  const command = (args: readonly string[]): BotCommand => ({
    file: process.execPath,
    args: [join(root, 'src/bot/main.ts'), ...args],
    cwd: root,
    env: { ZOS_HOME: home, ZOS_DIRECTORY: directoryUrl },
  });
  const zos = async ({ args, onLine, signal }: ZosWish): Promise<string> => {
    const lines: string[] = [];
    await using running = start({
      ...command(args),
      ...(signal === undefined ? {} : { signal }),
      onLine: (line) => {
        lines.push(line);
        onLine?.(line);
      },
    });
    const { exitCode } = await running.ended;
    signal?.throwIfAborted();
    const printed = lines.join('\n');
    if (exitCode === 0) return printed;
    const sentence = lines.findLast((line) => line.startsWith('zos: ')) ?? lines.at(-1) ?? '';
    const facts = { args, exitCode, printed };
    throw new BootError('PROGRAM_FAILED', sentence.replace(/^zos: /u, ''), { facts });
  };
  return { home, command, zos };
}

const refusalSchema = z.object({ error: z.object({ sentence: z.string() }) });

/** What the command answers with `--json`, in the form expected; throws `BootError`. */
export async function askBot<T>(bot: Bot, args: readonly string[], form: z.ZodType<T>): Promise<T> {
  try {
    return form.parse(JSON.parse(await run(bot.command([...args, '--json']))));
  } catch (cause) {
    if (!(cause instanceof ExecError)) throw cause;
    const { stderr } = cause.facts;
    const last = typeof stderr === 'string' ? (stderr.trim().split('\n').at(-1) ?? '') : '';
    const refusal = refusalSchema.safeParse(last.startsWith('{') ? JSON.parse(last) : undefined);
    const sentence = refusal.success ? refusal.data.error.sentence : cause.message;
    throw new BootError('PROGRAM_FAILED', sentence, { cause, facts: { args } });
  }
}

const nodesSchema = z.array(z.object({ id: z.string(), isOnline: z.boolean() }));
const ASK_EVERY_MS = 500;

/** Waits until so many nodes joined and gave a sign of life; their ids. */
export async function waitOnline(
  bot: Bot,
  { count, signal }: { readonly count: number; readonly signal: AbortSignal },
): Promise<string[]> {
  for (;;) {
    const nodes = await askBot(bot, ['nodes'], nodesSchema);
    const online = nodes.filter(({ isOnline }) => isOnline);
    if (online.length >= count) return online.map(({ id }) => id);
    await sleep(ASK_EVERY_MS, undefined, { signal });
  }
}
