import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readCpio } from '../../src/lib/cpio.ts';
import { runPinned } from '../parts/pinned-tools.ts';
import { readInodes } from './inodes.ts';
import type { Folders } from '../parts/pinned-tools.ts';
import type { Found } from './rules.ts';

const KIND_BITS = 0o170000;
const PERMISSION_BITS = 0o7777;
const KINDS: Readonly<Record<number, Found['kind']>> = {
  0o100000: 'file',
  0o040000: 'folder',
  0o120000: 'link',
};

type OpenErofs = { readonly folders: Folders; readonly image: string; readonly scratch: string };

/**
 * Everything in a built erofs image: modes, owners and attributes from its inodes, contents by
 * unpacking it, so that what is found does not depend on who looks. Needs no root.
 */
export async function openErofs(wish: OpenErofs): Promise<Found[]> {
  const inodes = readInodes(new Uint8Array(await readFile(wish.image)));
  const folder = await mkdtemp(join(wish.scratch, 'audit-'));
  try {
    const tree = join(folder, 'tree');
    await runPinned({
      folders: wish.folders,
      package: 'erofs-utils',
      path: 'usr/bin/fsck.erofs',
      args: [`--extract=${tree}`, '--no-preserve', wish.image],
    });
    const found: Found[] = [];
    for (const { path, mode, ...inode } of inodes) {
      const kind = KINDS[mode & KIND_BITS] ?? 'other';
      const bytes = kind === 'file' ? await readFile(join(tree, path)) : new Uint8Array();
      found.push({ ...inode, path, kind, mode: mode & PERMISSION_BITS, bytes });
    }
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Everything in a built initramfs; a cpio archive of this form has no attributes. */
export function openInitramfs(archive: Uint8Array): Found[] {
  return readCpio(archive).map(({ path, mode, uid, gid, bytes }) => ({
    path: `/${path}`,
    kind: KINDS[mode & KIND_BITS] ?? 'other',
    mode: mode & PERMISSION_BITS,
    uid,
    gid,
    attributeBytes: 0,
    bytes,
  }));
}
