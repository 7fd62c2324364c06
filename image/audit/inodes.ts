import { ImageError } from '../errors.ts';

/** What an inode of an erofs image says of itself. */
export type Inode = {
  readonly path: string;
  /** Type and permissions, as in stat(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly attributeBytes: number;
};

type Place = { readonly view: DataView; readonly blockBytes: number; readonly metaBytes: number };

const SUPERBLOCK = 1024;
const MAGIC = 0xe0f5e1e2;
const DIRENT_BYTES = 12;
const DIRECTORY = 0o040000;
const KIND_BITS = 0o170000;
/** Data after the inode, or whole blocks elsewhere with the rest after the inode. */
const LAYOUT_INLINE = 2;
const LAYOUT_PLAIN = 0;

/**
 * Every inode that a directory of an erofs image names, with its path (Linux,
 * fs/erofs/erofs_fs.h). The audit reads them itself: it should not see the image through the tool
 * that made it.
 */
export function readInodes(image: Uint8Array): Inode[] {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (view.getUint32(SUPERBLOCK, true) !== MAGIC) {
    throw new ImageError('AUDIT_FAILED', 'It is no erofs image; make it again: npm run image.');
  }
  const blockBytes = 1 << view.getUint8(SUPERBLOCK + 12);
  const metaBytes = view.getUint32(SUPERBLOCK + 40, true) * blockBytes;
  const place = { view, blockBytes, metaBytes };
  const inodes: Inode[] = [];
  const open = [{ path: '', nid: view.getUint16(SUPERBLOCK + 14, true) }];
  const walked = new Set<number>();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const inode = readInode(place, next.nid);
    inodes.push({ ...inode, path: next.path === '' ? '/' : next.path });
    if ((inode.mode & KIND_BITS) !== DIRECTORY || walked.has(next.nid)) continue;
    walked.add(next.nid);
    for (const { name, nid } of readFolder(place, inode)) {
      if (name !== '.' && name !== '..') open.push({ path: `${next.path}/${name}`, nid });
    }
  }
  return inodes;
}

type Raw = Omit<Inode, 'path'> & {
  readonly layout: number;
  readonly lengthBytes: number;
  readonly block: number;
  /** Where what is stored with the inode begins. */
  readonly inlineAt: number;
};

function readInode({ view, metaBytes }: Place, nid: number): Raw {
  const at = metaBytes + nid * 32;
  const format = view.getUint16(at, true);
  const isExtended = (format & 1) === 1;
  const attributes = view.getUint16(at + 2, true);
  const attributeBytes = attributes === 0 ? 0 : 12 + (attributes - 1) * 4;
  return {
    mode: view.getUint16(at + 4, true),
    uid: isExtended ? view.getUint32(at + 24, true) : view.getUint16(at + 24, true),
    gid: isExtended ? view.getUint32(at + 28, true) : view.getUint16(at + 26, true),
    attributeBytes,
    layout: (format >> 1) & 7,
    lengthBytes: isExtended
      ? Number(view.getBigUint64(at + 8, true))
      : view.getUint32(at + 8, true),
    block: view.getUint32(at + 16, true),
    inlineAt: at + (isExtended ? 64 : 32) + attributeBytes,
  };
}

/** A folder's names, block by block; its last, unfilled block lies with the inode. */
function readFolder(place: Place, inode: Raw): { name: string; nid: number }[] {
  if (inode.layout !== LAYOUT_PLAIN && inode.layout !== LAYOUT_INLINE) {
    throw new ImageError('AUDIT_FAILED', `A folder has the layout ${inode.layout}, unknown here.`);
  }
  const entries: { name: string; nid: number }[] = [];
  for (let done = 0; done < inode.lengthBytes; done += place.blockBytes) {
    const lengthBytes = Math.min(place.blockBytes, inode.lengthBytes - done);
    const isInline = inode.layout === LAYOUT_INLINE && done + place.blockBytes > inode.lengthBytes;
    const at = isInline ? inode.inlineAt : inode.block * place.blockBytes + done;
    entries.push(...readEntries(place.view, at, lengthBytes));
  }
  return entries;
}

function readEntries(
  view: DataView,
  at: number,
  lengthBytes: number,
): { name: string; nid: number }[] {
  const nameAt = (index: number): number => view.getUint16(at + index * DIRENT_BYTES + 8, true);
  const count = nameAt(0) / DIRENT_BYTES;
  return Array.from({ length: count }, (_, index) => {
    const start = nameAt(index);
    const end = index + 1 < count ? nameAt(index + 1) : lengthBytes;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at + start, end - start);
    const name = new TextDecoder().decode(bytes).replace(/\0.*$/su, '');
    return { name, nid: Number(view.getBigUint64(at + index * DIRENT_BYTES, true)) };
  });
}
