import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export type DirectoryProcess = AsyncDisposable & { readonly url: string };

/** The real directory, as a process of its own on a free port. */
export async function startDirectory(folder: string, grid = 'test'): Promise<DirectoryProcess> {
  const args = ['src/directory/main.ts', '--listen', '127.0.0.1:0', '--grid', grid];
  const child = spawn(process.execPath, [...args, '--data', folder], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { listening } = JSON.parse(line) as { listening: string };
  return {
    url: listening,
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
