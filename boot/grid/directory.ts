import { join } from 'node:path';
import { z } from 'zod';
import { type Running, start } from '../../src/host/exec.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import type { OnEvent } from './event.ts';

const LISTEN_DEADLINE_MS = 30 * SECOND_MS;

const listeningSchema = z.object({ listening: z.url(), directory: z.string(), policy: z.string() });

const keysSchema = z.object({ directory: z.string(), log: z.string() });
const witnessSchema = z.object({ listening: z.url(), witness: z.string() });

export type DirectoryWish = {
  readonly root: string;
  readonly grid: string;
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  /** Who has to see its record: each a key and an address. */
  readonly witnesses?: readonly string[];
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
  const { host, port, grid } = wish;
  wish.onEvent({ subject, state: 'running', text: 'starting' });
  const { said, running } = await startProgram(wish, listeningSchema, [
    ...directoryArguments(wish),
    `--listen=${host}:${port}`,
    ...(wish.witnesses ?? []).map((witness) => `--witness=${witness}`),
    `--root=${join(wish.root, 'dist/keys/root.json')}`,
  ]);
  wish.onEvent({ subject, state: 'done', text: `${said.listening}, grid ${grid}` });
  return {
    url: said.listening,
    identity: said.directory,
    policy: said.policy,
    running,
    [Symbol.asyncDispose]: running.stop,
  };
}

export type Witnesses = AsyncDisposable & {
  /** Each as a directory takes it: its key, and where it answers. */
  readonly wishes: readonly string[];
};

export type WitnessesWish = Omit<DirectoryWish, 'witnesses' | 'port'> & {
  /** Where each of them listens, one port a witness. */
  readonly ports: readonly number[];
};

/**
 * Starts witnesses for the directory of `folder`, which has not to run yet: its keys are made when
 * there are none. Each has a folder of its own beside the directory's. Throws `BootError`.
 */
export async function startWitnesses(wish: WitnessesWish): Promise<Witnesses> {
  const subject = 'witnesses';
  wish.onEvent({ subject, state: 'running', text: 'starting' });
  await using stack = new AsyncDisposableStack();
  const { said: keys } = await startProgram(wish, keysSchema, directoryArguments(wish));
  const wishes: string[] = [];
  for (const [index, port] of wish.ports.entries()) {
    const folder = `${wish.folder}-witness-${index + 1}`;
    const address = [`--listen=${wish.host}:${port}`, `--name=w${index + 1}.${wish.grid}.zos`];
    const { said, running } = await startProgram(wish, witnessSchema, [
      join(wish.root, 'src/bot/main.ts'),
      'witness',
      `--data=${folder}`,
      ...address,
      `--log=${keys.log}`,
    ]);
    stack.defer(running.stop);
    wishes.push(`${said.witness} ${said.listening}`);
  }
  wish.onEvent({ subject, state: 'done', text: `${wishes.length} of them` });
  const open = stack.move();
  return { wishes, [Symbol.asyncDispose]: () => open.disposeAsync() };
}

function directoryArguments({
  root,
  grid,
  folder,
}: Pick<DirectoryWish, 'root' | 'grid' | 'folder'>) {
  return [join(root, 'src/directory/main.ts'), `--grid=${grid}`, `--data=${folder}`];
}

type Program = Pick<DirectoryWish, 'root' | 'onLine'>;

/** Starts a program of the repository and waits for its line of JSON; throws `BootError`. */
async function startProgram<T>(
  { root, onLine }: Program,
  schema: z.ZodType<T>,
  args: readonly string[],
): Promise<{ said: T; running: Running }> {
  const { promise, resolve } = Promise.withResolvers<T>();
  let last = 'it said nothing';
  const running = start({
    file: process.execPath,
    args: [...args],
    cwd: root,
    onLine: (line) => {
      last = line;
      onLine?.(line);
      const said = schema.safeParse(line.startsWith('{') ? parse(line) : undefined);
      if (said.success) resolve(said.data);
    },
  });
  const deadline = AbortSignal.timeout(LISTEN_DEADLINE_MS);
  const ended = running.ended.then(() => undefined);
  const late = new Promise<undefined>((settle) => {
    deadline.addEventListener('abort', () => settle(undefined));
  });
  const said = await Promise.race([promise, ended, late]);
  if (said !== undefined) return { said, running };
  await running.stop();
  throw new BootError('PROGRAM_FAILED', `${args[0] ?? ''} does not start: ${last}`);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
