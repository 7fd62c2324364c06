import { readFileSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ZosError } from '../lib/errors.ts';

export class FileError extends ZosError<'FILE_TOO_LONG'> {}

export type FileWish = {
  readonly path: string;
  readonly bytes: string | Uint8Array;
  /** Who may read it; 0o600 unless told. */
  readonly mode?: number;
};

/**
 * Writes a whole file so that after a power cut either the old one or the new one is there: a new
 * file beside it, flushed, takes its name, and the folder is flushed.
 */
export async function writeDurably({ path, bytes, mode = 0o600 }: FileWish): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { force: true });
  const file = await open(part, 'wx', mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  await syncFolder(dirname(path));
}

/** Makes names that were added to a folder or taken from it last over a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A whole text file, if it is there; throws `FileError` when it is longer than allowed. */
export async function readText(path: string, bytesMax: number): Promise<string | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (bytes !== undefined && bytes.length > bytesMax) {
    throw new FileError('FILE_TOO_LONG', `${path} is longer than the ${bytesMax} bytes allowed.`);
  }
  return bytes?.toString('utf8');
}

/**
 * The same at once, for small files of the kernel and of `/run`, which are memory: the way through
 * the thread pool costs ten times what reading them does. A process that has ended has no files.
 */
export function readTextNow(path: string, bytesMax: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH') return undefined;
    throw error;
  }
  if (text.length > bytesMax) {
    throw new FileError('FILE_TOO_LONG', `${path} is longer than the ${bytesMax} bytes allowed.`);
  }
  return text;
}

/**
 * Hands a secret to a program as an open file that has no name any more: `/proc/self/fd/0` can be
 * opened on it, which it can't on the socket that Node gives for a pipe. It lies in memory, as
 * `folder` has to be on a tmpfs. The file is overwritten when `use` is done, and so is `secret`.
 */
export async function withSecretFile<T>(
  wish: { readonly folder: string; readonly secret: Uint8Array },
  use: (file: FileHandle) => Promise<T>,
): Promise<T> {
  await mkdir(wish.folder, { recursive: true, mode: 0o700 });
  const path = `${wish.folder}/secret-${process.pid}-${crypto.randomUUID()}`;
  const file = await open(path, 'wx+', 0o600);
  try {
    await rm(path);
    await file.write(wish.secret, 0, wish.secret.length, 0);
    return await use(file);
  } finally {
    const lengthBytes = wish.secret.length;
    wish.secret.fill(0);
    await file.write(new Uint8Array(lengthBytes), 0, lengthBytes, 0);
    await file.close();
  }
}
