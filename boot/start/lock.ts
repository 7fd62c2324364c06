import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { BootError } from '../errors.ts';

/**
 * Holds the one right to run a grid from this folder, until it is disposed of. The file names its
 * owner by process id and start time, so that it means nothing once that process is gone. Throws
 * `BootError` when another one runs. Who can write the file can keep others from starting, no more.
 */
export function takeLock(path: string, processId: number): Disposable {
  const mine = ownerOf(processId) ?? '';
  try {
    writeFileSync(path, mine, { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const owner = readOwner(path);
    if (owner !== undefined && ownerOf(owner.processId) === owner.text) {
      throw new BootError(
        'ALREADY_RUNNING',
        `A grid runs from this folder already, as process ${owner.processId}; ` +
          'press Ctrl-C there, then start again.',
        { cause },
      );
    }
    writeFileSync(path, mine, { mode: 0o600 });
  }
  return {
    [Symbol.dispose]: () => {
      if (readOwner(path)?.text === mine) rmSync(path);
    },
  };
}

type Owner = { readonly processId: number; readonly text: string };

function readOwner(path: string): Owner | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return { processId: Number.parseInt(text, 10), text };
  } catch {
    return undefined;
  }
}

/** A process by its id and the moment it started (proc(5), field 22), or `undefined`. */
function ownerOf(processId: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${processId}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${processId} ${fields[19]}\n`;
  } catch {
    return undefined;
  }
}
