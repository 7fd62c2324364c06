import { concatBytes, utf8 } from './bytes.ts';
import { ZosError } from './errors.ts';

export class CpioError extends ZosError<'CPIO_INVALID'> {}

/** One member of an archive; `path` has no leading slash, folders stand before what is in them. */
export type CpioEntry =
  | { readonly path: string; readonly kind: 'folder' }
  | {
      readonly path: string;
      readonly kind: 'file';
      readonly bytes: Uint8Array;
      readonly isExecutable?: boolean;
    };

const TRAILER = 'TRAILER!!!';
const FOLDER_MODE = 0o040755;
const FILE_MODE = 0o100644;
const EXECUTABLE_MODE = 0o100755;

/**
 * An uncompressed cpio archive as the kernel unpacks it (newc: Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst). Everything belongs to root and time
 * is zero, so equal entries give equal bytes.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const members = entries.map((entry, index) => member(entry, index + 1));
  const end = record({ path: TRAILER, inode: 0, mode: 0, bytes: new Uint8Array() });
  return concatBytes(...members, end);
}

function member(entry: CpioEntry, inode: number): Uint8Array {
  if (entry.kind === 'folder') {
    return record({ path: entry.path, inode, mode: FOLDER_MODE, bytes: new Uint8Array() });
  }
  const mode = entry.isExecutable === true ? EXECUTABLE_MODE : FILE_MODE;
  return record({ path: entry.path, inode, mode, bytes: entry.bytes });
}

type Record = {
  readonly path: string;
  readonly inode: number;
  readonly mode: number;
  readonly bytes: Uint8Array;
};

function record({ path, inode, mode, bytes }: Record): Uint8Array {
  const name = utf8(`${path}\0`);
  const links = mode === FOLDER_MODE ? 2 : 1;
  // inode, mode, uid, gid, links, mtime, length, four device numbers, length of name, checksum
  const numbers = [inode, mode, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const fields = numbers.map((number) => number.toString(16).padStart(8, '0'));
  const head = concatBytes(utf8(`070701${fields.join('')}`), name);
  return concatBytes(head, padding(head.length), bytes, padding(bytes.length));
}

function padding(lengthBytes: number): Uint8Array {
  return new Uint8Array((4 - (lengthBytes % 4)) % 4);
}

/** One member as `readCpio` found it, with the whole file mode (type and permissions). */
export type CpioMember = {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly bytes: Uint8Array;
};

const HEAD_BYTES = 110;

/** The members of a newc archive up to its trailer; throws `CpioError` when it is cut or other. */
export function readCpio(archive: Uint8Array): CpioMember[] {
  const members: CpioMember[] = [];
  for (let at = 0; ;) {
    const head = latin1(archive.subarray(at, at + HEAD_BYTES));
    if (!/^070701[0-9a-fA-F]{104}$/u.test(head)) {
      throw new CpioError('CPIO_INVALID', `The archive is cut or damaged at byte ${at}.`);
    }
    const field = (index: number): number =>
      Number.parseInt(head.slice(6 + index * 8, 14 + index * 8), 16);
    const nameEnd = at + HEAD_BYTES + field(11);
    const start = nameEnd + padding(nameEnd).length;
    const end = start + field(6);
    const path = latin1(archive.subarray(at + HEAD_BYTES, nameEnd - 1));
    if (path === TRAILER) return members;
    const bytes = archive.subarray(start, end);
    members.push({ path, mode: field(1), uid: field(2), gid: field(3), bytes });
    at = end + padding(end).length;
  }
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}
