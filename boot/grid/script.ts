import { join } from 'node:path';
import { start } from '../../src/host/exec.ts';
import { BootError } from '../errors.ts';

export type Script = {
  /** The repository. */
  readonly root: string;
  /** From the repository's root. */
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
};

/** Runs a program of ours to its end; throws `BootError` with the last thing it said. */
export async function runScript(script: Script): Promise<void> {
  let last = 'it said nothing';
  const { signal } = script;
  await using running = start({
    file: process.execPath,
    args: [join(script.root, script.path), ...(script.args ?? [])],
    cwd: script.root,
    ...(script.env === undefined ? {} : { env: script.env }),
    ...(signal === undefined ? {} : { signal }),
    onLine: (line) => {
      if (line.trim() !== '') last = line;
      script.onLine?.(line);
    },
  });
  const { exitCode } = await running.ended;
  signal?.throwIfAborted();
  if (exitCode !== 0) {
    const reason = last.replace(/^[a-z]+: /u, '');
    const facts = { exitCode };
    throw new BootError('PROGRAM_FAILED', `${script.path} failed: ${reason}`, { facts });
  }
}
