import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { formatDuration } from '../../src/lib/units.ts';
import { sha256OfFile } from '../debian/packages.ts';

export type Clock = () => number;
export type Say = (line: string) => void;
export type Phase = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Runs steps of the build one after the other and says what each took. */
export function makePhase(say: Say, nowMs: Clock): Phase {
  return async (name, work) => {
    const startedMs = nowMs();
    say(`${name} ...`);
    const result = await work();
    say(`${name} done in ${formatDuration(nowMs() - startedMs)}`);
    return result;
  };
}

export type Product = {
  /** The file that `make` writes. */
  readonly path: string;
  /** Changes whenever the file would: a hash of all that goes into it. */
  readonly key: string;
  /** Writes to the path given to it, which takes the product's place when all of it is there. */
  readonly make: (path: string) => Promise<void>;
};

/**
 * Makes a file unless the one there was made from the same inputs and is unchanged since. The note
 * beside it holds both hashes, so a half-written or edited file is made again.
 */
export async function makeOnce({ path, key, make }: Product): Promise<string> {
  const note = `${path}.made-from`;
  const [madeFrom, digest] = (await readFile(note, 'utf8').catch(() => '')).trim().split(' ');
  if (madeFrom === key && digest !== undefined && (await sha256OfFile(path)) === digest)
    return path;
  await rm(note, { force: true });
  const part = `${path}.part`;
  await rm(part, { force: true, recursive: true });
  await make(part);
  await rename(part, path);
  await writeFile(note, `${key} ${await sha256OfFile(path)}\n`);
  return path;
}
