import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readCpio } from '../../src/lib/cpio.ts';
import { ImageError } from '../errors.ts';
import { runPinned } from '../parts/pinned-tools.ts';
import type { Folders } from '../parts/pinned-tools.ts';
import type { Found } from './rules.ts';

const EROFS_UTILS = 'erofs-utils';
const AT_ONCE = 4;

type OpenErofs = { readonly folders: Folders; readonly image: string; readonly scratch: string };

/**
 * Everything in a built erofs image: contents by unpacking it, modes and owners from its inodes, so
 * that what is found does not depend on who looks. Needs no root.
 */
export async function openErofs(wish: OpenErofs): Promise<Found[]> {
  const folder = await mkdtemp(join(wish.scratch, 'audit-'));
  try {
    const tree = join(folder, 'tree');
    await runPinned({
      folders: wish.folders,
      package: EROFS_UTILS,
      path: 'usr/bin/fsck.erofs',
      args: [`--extract=${tree}`, '--no-preserve', wish.image],
    });
    const paths = ['/', ...(await pathsIn(tree, ''))];
    const found: Found[] = [];
    while (paths.length > 0) {
      const some = paths.splice(0, AT_ONCE).map(async (path) => openPath(wish, tree, path));
      found.push(...(await Promise.all(some)));
    }
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Links are named, never followed. */
async function pathsIn(tree: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(tree, folder), { withFileTypes: true });
  const paths: string[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${entry.name}`;
    paths.push(path);
    if (entry.isDirectory()) paths.push(...(await pathsIn(tree, path)));
  }
  return paths;
}

async function openPath(wish: OpenErofs, tree: string, path: string): Promise<Found> {
  const text = await runPinned({
    folders: wish.folders,
    package: EROFS_UTILS,
    path: 'usr/bin/dump.erofs',
    args: [`--path=${path}`, wish.image],
  });
  const number = (pattern: RegExp, base = 10): number => {
    const value = Number.parseInt(pattern.exec(text)?.[1] ?? '', base);
    if (!Number.isNaN(value)) return value;
    throw new ImageError('AUDIT_FAILED', `dump.erofs says nothing of ${path}; audit it by hand.`);
  };
  const kind = kindOf(text);
  return {
    path,
    kind,
    mode: number(/Access: (\d+)\//u, 8),
    uid: number(/Uid: (\d+)/u),
    gid: number(/Gid: (\d+)/u),
    attributeBytes: number(/Xattr size: (\d+)/u),
    bytes: kind === 'file' ? await readFile(join(tree, path)) : new Uint8Array(),
  };
}

function kindOf(text: string): Found['kind'] {
  if (/\bregular file\b/u.test(text)) return 'file';
  if (/\bdirectory\b/u.test(text)) return 'folder';
  return /\bsymlink|symbolic link\b/u.test(text) ? 'link' : 'other';
}

const KIND_BITS = 0o170000;
const KINDS: Readonly<Record<number, Found['kind']>> = {
  0o100000: 'file',
  0o040000: 'folder',
  0o120000: 'link',
};

/** Everything in a built initramfs; a cpio archive of this form has no attributes. */
export function openInitramfs(archive: Uint8Array): Found[] {
  return readCpio(archive).map(({ path, mode, uid, gid, bytes }) => ({
    path: `/${path}`,
    kind: KINDS[mode & KIND_BITS] ?? 'other',
    mode: mode & 0o7777,
    uid,
    gid,
    attributeBytes: 0,
    bytes,
  }));
}
