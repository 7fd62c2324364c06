import { run } from '../exec.ts';
import { MINUTE_MS } from '../../lib/units.ts';

/** The file systems that a node makes for tenants. */
export type FileSystem = 'ext4' | 'xfs' | 'btrfs';

const DEADLINE_MS = 10 * MINUTE_MS;

/** Makes a file system that takes no room before it is written to; what was there is lost. */
export async function makeFileSystem(
  type: FileSystem,
  path: string,
  signal?: AbortSignal,
): Promise<void> {
  const lazy = 'nodiscard,lazy_itable_init=1,lazy_journal_init=1';
  const [file, ...args] = {
    ext4: ['mke2fs', '-q', '-F', '-t', 'ext4', '-m', '0', '-E', lazy],
    xfs: ['mkfs.xfs', '-q', '-f', '-K'],
    btrfs: ['mkfs.btrfs', '-q', '-f', '-K'],
  }[type] as [string, ...string[]];
  await tool([file, ...args, path], signal);
}

/** Makes a mounted one as long as its device is now. */
export async function growFileSystem(
  type: FileSystem,
  at: { readonly device: string; readonly path: string },
  signal?: AbortSignal,
): Promise<void> {
  const command = {
    ext4: ['resize2fs', at.device],
    xfs: ['xfs_growfs', '-d', at.path],
    btrfs: ['btrfs', 'filesystem', 'resize', 'max', at.path],
  }[type] as [string, ...string[]];
  await tool(command, signal);
}

/** Tells the disk below a mounted file system which room is free, so that it forgets it. */
export async function trimFileSystem(path: string, signal?: AbortSignal): Promise<void> {
  await tool(['fstrim', '--quiet-unsupported', path], signal);
}

async function tool(
  [file, ...args]: readonly [string, ...string[]],
  signal?: AbortSignal,
): Promise<void> {
  await run({ file, args, deadlineMs: DEADLINE_MS, ...(signal === undefined ? {} : { signal }) });
}
