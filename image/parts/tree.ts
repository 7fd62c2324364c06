import { chmod, copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import { sha256OfFile } from '../debian/packages.ts';
import { ImageError } from '../errors.ts';
import { isElf } from './elf.ts';

/** One thing of an image as it will lie there; the source of a file is a path on this machine. */
export type TreeEntry =
  | { readonly path: string; readonly kind: 'folder' }
  | { readonly path: string; readonly kind: 'link'; readonly target: string }
  | { readonly path: string; readonly kind: 'text'; readonly text: string }
  | { readonly path: string; readonly kind: 'file'; readonly source: string };

/** A hash over all that decides what the image's bytes are, in the order of paths. */
export async function keyOfTree(entries: readonly TreeEntry[]): Promise<string> {
  const parts: string[] = [];
  for (const entry of entries.toSorted(byPath)) {
    const content = entry.kind === 'file' ? await sha256OfFile(entry.source) : '';
    if (content === undefined) throw missing(entry.path);
    parts.push(JSON.stringify({ ...entry, source: content }));
  }
  return sha256Hex(utf8(parts.join('\n')));
}

/**
 * Lays the entries out below an empty folder. What can run is 0755, all else 0644: no mode is taken
 * from a package, so no setuid bit ever comes along.
 */
export async function layTree(folder: string, entries: readonly TreeEntry[]): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  for (const entry of entries.toSorted(byPath)) {
    const target = join(folder, entry.path);
    await makeFolders(folder, entry.kind === 'folder' ? target : dirname(target));
    if (entry.kind === 'link') await symlink(entry.target, target);
    else if (entry.kind === 'text') await writeMode(target, entry.text, 0o644);
    else if (entry.kind === 'file') await copyMode(entry, target);
  }
}

async function makeFolders(root: string, folder: string): Promise<void> {
  if (!folder.startsWith(root) || folder === root) return;
  await makeFolders(root, dirname(folder));
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
}

async function writeMode(path: string, text: string, mode: number): Promise<void> {
  await writeFile(path, text);
  await chmod(path, mode);
}

async function copyMode(entry: { path: string; source: string }, target: string): Promise<void> {
  await copyFile(entry.source, target).catch((cause: unknown) => {
    throw missing(entry.path, cause);
  });
  await chmod(target, isElf(await readFile(target)) ? 0o755 : 0o644);
}

function missing(path: string, cause?: unknown): ImageError {
  return new ImageError('FILE_MISSING', `${path} has no source; see its line in image/files.ts.`, {
    cause,
  });
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : 1;
}
