import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { MiB } from '../../lib/units.ts';

/** How long a file is, and how much room it takes. */
export type Extent = { readonly lengthBytes: number; readonly takenBytes: number };

const BLOCK_BYTES = 512;

/** The extent of a file that is there. */
export async function extentOf(path: string): Promise<Extent | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  return { lengthBytes: found.size, takenBytes: found.blocks * BLOCK_BYTES };
}

/**
 * Makes a file longer, with nothing in what is added; it never gets shorter. One that `isNew` must
 * not be there.
 */
export async function stretchFile(
  path: string,
  lengthBytes: number,
  { isNew = false }: { readonly isNew?: boolean } = {},
): Promise<void> {
  const fresh = isNew ? constants.O_CREAT | constants.O_EXCL : 0;
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | fresh;
  await using file = await open(path, flags, 0o600);
  const { size } = await file.stat();
  if (size < lengthBytes) await file.truncate(lengthBytes);
  await file.sync();
}

/** Overwrites the beginning of a file in place, and waits until the disk has it. */
export async function wipeHead(path: string, lengthBytes: number): Promise<void> {
  await using file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  const { size } = await file.stat();
  const end = Math.min(size, lengthBytes);
  const zeros = new Uint8Array(MiB);
  for (let at = 0; at < end; at += zeros.length) {
    await file.write(zeros, 0, Math.min(zeros.length, end - at), at);
  }
  await file.sync();
}
