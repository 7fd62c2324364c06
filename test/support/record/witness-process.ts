import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export type WitnessProcess = AsyncDisposable & {
  readonly url: string;
  /** Its verifier key, as policies name it. */
  readonly vkey: string;
  readonly kill: (signal: NodeJS.Signals) => Promise<void>;
};

const MAIN = 'src/bot/main.ts';

/** The real `zos witness`, as a process of its own, on a free port or the one of before. */
export async function startWitness(
  folder: string,
  { name, port = '0', logs = [] }: { name?: string; port?: string; logs?: readonly string[] } = {},
): Promise<WitnessProcess> {
  const args = [MAIN, 'witness', '--data', folder, '--listen', `127.0.0.1:${port}`];
  const named = name === undefined ? [] : ['--name', name];
  const watching = logs.flatMap((vkey) => ['--log', vkey]);
  const child = spawn(process.execPath, [...args, ...named, ...watching], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), ended]);
  if (typeof line[0] !== 'string') throw new Error('zos witness ended and said nothing');
  const { listening, witness } = JSON.parse(line[0]) as { listening: string; witness: string };
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    url: listening,
    vkey: witness,
    kill,
    [Symbol.asyncDispose]: async () => kill('SIGTERM'),
  };
}

/** Names a log to a witness that runs already. */
export async function watchLog(folder: string, vkey: string): Promise<void> {
  const args = [MAIN, 'witness', '--data', folder, '--log', vkey];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [exitCode] = (await once(child, 'exit')) as [number];
  if (exitCode !== 0) throw new Error(`zos witness ended with ${exitCode}`);
}
