import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { ZosError } from '../lib/errors.ts';
import { MiB, MINUTE_MS } from '../lib/units.ts';
import { run } from './exec.ts';

export class DiskError extends ZosError<'DISK_FOREIGN'> {}

/** A whole disk, as the kernel shows it below `/sys/block`. */
export type Disk = {
  readonly name: string;
  readonly path: string;
  readonly lengthBytes: number;
  readonly isRotating: boolean;
  readonly isReadOnly: boolean;
  readonly isRemovable: boolean;
  readonly model: string;
  /** What its maker calls it, by letters, digits, dots, dashes and underscores; '' if nothing. */
  readonly serial: string;
  readonly partitions: readonly string[];
  /** What is built on it or on a partition of it: encryption, RAID, volumes. */
  readonly holders: readonly string[];
};

/** What is on a disk. */
export type DiskContent =
  | { readonly kind: 'blank' }
  | { readonly kind: 'ext4'; readonly label: string; readonly uuid: string }
  | { readonly kind: 'foreign'; readonly because: string };

/** The longest serial number that is looked at. */
export const SERIAL_CHARS_MAX = 64;
const SECTOR_BYTES = 512;
const BOOT_BLOCK_BYTES = 1024;
const EDGE_BYTES = MiB;
/** Memory, loops, optical drives, floppies, network: none is a disk of this machine. */
const NO_DISK = /^(?:loop|ram|zram|sr|fd|nbd|dm-|md|rbd|drbd)/u;

/** All disks of the machine, by name. */
export async function listDisks(sysPath = '/sys'): Promise<Disk[]> {
  const names: string[] = await readdir(`${sysPath}/block`);
  const disks = names.filter((name) => !NO_DISK.test(name)).toSorted();
  return Promise.all(disks.map((name) => readDisk(name, `${sysPath}/block/${name}`)));
}

async function readDisk(name: string, folder: string): Promise<Disk> {
  const text = async (path: string): Promise<string> =>
    (await readFile(`${folder}/${path}`, 'utf8').catch(() => '')).trim();
  const entries: string[] = await readdir(folder);
  const partitions = entries.filter((entry) => entry.startsWith(name));
  const holdersOf = async (path: string): Promise<string[]> =>
    readdir(`${folder}/${path}holders`).catch(() => []);
  const parts = partitions.map((partition) => `${partition}/`);
  const holders = (await Promise.all(['', ...parts].map(holdersOf))).flat();
  return {
    name,
    path: `/dev/${name.replaceAll('!', '/')}`,
    lengthBytes: Number(await text('size')) * SECTOR_BYTES,
    isRotating: (await text('queue/rotational')) === '1',
    isReadOnly: (await text('ro')) === '1',
    isRemovable: (await text('removable')) === '1',
    model: [await text('device/vendor'), await text('device/model')].join(' ').trim(),
    serial: await readSerial(folder),
    partitions,
    holders,
  };
}

/** Virtio, NVMe, ATA and SCSI each keep it somewhere else; SCSI behind four bytes of a header. */
async function readSerial(folder: string): Promise<string> {
  for (const path of ['serial', 'device/serial', 'device/vpd_pg80', 'device/wwid', 'wwid']) {
    const bytes = await readFile(`${folder}/${path}`).catch(() => Buffer.alloc(0));
    const text = bytes.subarray(path.endsWith('pg80') ? 4 : 0).toString('latin1');
    const serial = text
      .trim()
      .replaceAll(/[^A-Za-z0-9._-]+/gu, '-')
      .slice(0, SERIAL_CHARS_MAX);
    if (/[A-Za-z0-9]/u.test(serial)) return serial;
  }
  return '';
}

/**
 * Looks at what is on a disk, or in a file as large as one, without a tool in between: all zero in
 * the first and the last MiB is blank, an ext4 superblock is told by its label, and everything
 * else belongs to somebody.
 */
export async function readContent(path: string): Promise<DiskContent> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const lengthBytes = await lengthOf(file, path);
  const head = await readAt(file, 0);
  const label = ext4Label(head);
  if (label !== undefined) return { kind: 'ext4', label, uuid: ext4Uuid(head) };
  if (!isZero(head)) return { kind: 'foreign', because: foreignName(head) };
  const tail = await readAt(file, Math.max(0, lengthBytes - EDGE_BYTES));
  if (!isZero(tail)) return { kind: 'foreign', because: 'it does not end with zeros' };
  return { kind: 'blank' };
}

/** A block device says its length in sysfs; its file says zero. */
async function lengthOf(file: FileHandle, path: string): Promise<number> {
  const stat = await file.stat();
  if (!stat.isBlockDevice()) return stat.size;
  const name = path.replace('/dev/', '').replaceAll('/', '!');
  return Number(await readFile(`/sys/class/block/${name}/size`, 'utf8')) * SECTOR_BYTES;
}

async function readAt(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(EDGE_BYTES), 0, EDGE_BYTES, position);
  return buffer.subarray(0, bytesRead);
}

/** The label of an ext2, ext3 or ext4 file system (ext4's on-disk format, "The Super Block"). */
export function ext4Label(head: Uint8Array): string | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (bytes.length < 2048 || bytes.readUInt16LE(1024 + 0x38) !== 0xef53) return undefined;
  const name = bytes.subarray(1024 + 0x78, 1024 + 0x88);
  const end = name.indexOf(0);
  return name.toString('latin1', 0, end < 0 ? name.length : end);
}

/** What tells one ext4 file system from every other but its copies (the same, `s_uuid`). */
function ext4Uuid(head: Uint8Array): string {
  return Buffer.from(head.subarray(1024 + 0x68, 1024 + 0x78)).toString('hex');
}

/** By what people call it; only that it is none of ours decides anything. */
function foreignName(head: Uint8Array): string {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const found = SIGNATURES.find(
    ([at, text]) => bytes.toString('latin1', at, at + text.length) === text,
  );
  return found === undefined ? 'it does not begin with zeros' : `it holds ${found[2]}`;
}

/** Where what others write begins, in the order in which one hides the other. */
const SIGNATURES: readonly (readonly [number, string, string])[] = [
  [512, 'EFI PART', 'a GPT partition table'],
  [0, 'LUKS', 'an encrypted volume (LUKS)'],
  [0, 'XFSB', 'an XFS file system'],
  [3, 'NTFS', 'an NTFS file system'],
  [512, 'LABELONE', 'an LVM volume'],
  [0x1_0040, '_BHRfS_M', 'a btrfs file system'],
  [32 * 1024 + 1, 'CD001', 'an ISO 9660 image'],
  [510, '\u0055\u00aa', 'an MBR partition table'],
];

/** The first bytes of a disk, where ext4 leaves 1024 alone (ext4's on-disk format, "Layout"). */
export async function readBootBlock(path: string, lengthBytes: number): Promise<Uint8Array> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, 0);
  return new Uint8Array(buffer.subarray(0, bytesRead));
}

/**
 * Writes there, on a disk that has our label and on no other; it may be mounted. The journal of the
 * file system knows nothing of it: after a crash it may bring back what was there before.
 */
export async function writeBootBlock(wish: {
  readonly path: string;
  readonly label: string;
  readonly bytes: Uint8Array;
}): Promise<void> {
  const { path, label, bytes } = wish;
  await using file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  if (ext4Label(await readAt(file, 0)) !== label || bytes.length > BOOT_BLOCK_BYTES) {
    throw new DiskError('DISK_FOREIGN', `${path} is no data disk of ours; nothing was written.`);
  }
  await file.write(bytes, 0, bytes.length, 0);
  await file.sync();
}

/**
 * Overwrites the first and the last MiB, so that nothing on the disk is found any more; what lies
 * between stays until it is written over. The kernel refuses it for a disk that anybody uses.
 */
export async function wipeEdges(path: string): Promise<void> {
  const mode = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_EXCL;
  await using file = await open(path, mode);
  const lengthBytes = await lengthOf(file, path);
  const zeros = Buffer.alloc(EDGE_BYTES);
  for (const at of [0, Math.max(0, lengthBytes - EDGE_BYTES)]) {
    await file.write(zeros, 0, EDGE_BYTES, at);
  }
  await file.sync();
}

/** Whether there is nothing but zeros. */
export function isZero(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.equals(Buffer.alloc(buffer.length));
}

/**
 * Makes an ext4 file system that can seal files (fs-verity). It takes the place of whatever is
 * there: mke2fs refuses only what is mounted, so `readContent` has to have said that it is blank.
 */
export async function formatExt4(wish: {
  readonly path: string;
  readonly label: string;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const lazy = 'nodiscard,lazy_itable_init=1,lazy_journal_init=1';
  await run({
    file: 'mke2fs',
    args: ['-q', '-t', 'ext4', '-O', 'verity', '-L', wish.label, '-m', '0', '-E', lazy, wish.path],
    deadlineMs: 10 * MINUTE_MS,
    ...(wish.signal === undefined ? {} : { signal: wish.signal }),
  });
}
