import { join } from 'node:path';
import { z } from 'zod';
import { type Running, start } from '../../src/host/exec.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import type { OnEvent } from './event.ts';

const LISTEN_DEADLINE_MS = 30 * SECOND_MS;

const listeningSchema = z.object({ listening: z.url(), directory: z.string(), policy: z.string() });

export type DirectoryWish = {
  readonly root: string;
  readonly grid: string;
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  readonly onEvent: OnEvent;
  /** What it logs, a JSON object a line. */
  readonly onLine?: (line: string) => void;
};

export type Directory = AsyncDisposable & {
  readonly url: string;
  readonly identity: string;
  /** Whose record counts, and who has to have seen it: what a release signs. */
  readonly policy: string;
  readonly running: Running;
};

/** Starts a directory as a process of its own and waits until it listens; throws `BootError`. */
export async function startDirectory(wish: DirectoryWish): Promise<Directory> {
  const subject = 'directory';
  const { host, port, grid, folder } = wish;
  wish.onEvent({ subject, state: 'running', text: 'starting' });
  const { promise, resolve } = Promise.withResolvers<z.infer<typeof listeningSchema>>();
  let last = 'it said nothing';
  const running = start({
    file: process.execPath,
    args: [
      join(wish.root, 'src/directory/main.ts'),
      `--listen=${host}:${port}`,
      `--grid=${grid}`,
      `--data=${folder}`,
      `--root=${join(wish.root, 'dist/keys/root.json')}`,
    ],
    cwd: wish.root,
    onLine: (line) => {
      last = line;
      wish.onLine?.(line);
      const said = listeningSchema.safeParse(line.startsWith('{') ? parse(line) : undefined);
      if (said.success) resolve(said.data);
    },
  });
  const deadline = AbortSignal.timeout(LISTEN_DEADLINE_MS);
  const ended = running.ended.then(() => undefined);
  const late = new Promise<undefined>((settle) => {
    deadline.addEventListener('abort', () => settle(undefined));
  });
  const said = await Promise.race([promise, ended, late]);
  if (said === undefined) {
    await running.stop();
    throw new BootError('PROGRAM_FAILED', `The directory does not start: ${last}`);
  }
  wish.onEvent({ subject, state: 'done', text: `${said.listening}, grid ${grid}` });
  return {
    url: said.listening,
    identity: said.directory,
    policy: said.policy,
    running,
    [Symbol.asyncDispose]: running.stop,
  };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
