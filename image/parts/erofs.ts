import { rm } from 'node:fs/promises';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';
import { makeOnce } from './phase.ts';
import { runPinned } from './pinned-tools.ts';
import { keyOfTree, layTree } from './tree.ts';
import type { Folders } from './pinned-tools.ts';
import type { TreeEntry } from './tree.ts';

/** Every image has it: a file system is told apart by its hash, not by its UUID. */
const UUID = '5a65726f-4f53-4000-8000-000000000000';

export type ErofsWish = {
  readonly folders: Folders;
  readonly entries: readonly TreeEntry[];
  readonly path: string;
};

/**
 * What goes over the wire first has to be small: this makes kernel and first stage 55 MB, where
 * `lz4hc` of 64 KiB made 79 MB. It costs half a second until our first line, of instructions
 * counted by QEMU (-icount): see the figure `first-line`. Higher levels take minutes for a percent.
 * The kernel keeps room for the dictionary once for each processor, in a power of two of memory:
 * half a megabyte makes that one megabyte and not two, and the images 0.2 % larger.
 */
export const COMPRESSION = ['-zzstd,level=6,dictsize=524288', '-C262144'];

/** Makes an erofs image whose bytes depend on the entries alone: no time, owner or attribute. */
export async function makeErofs(wish: ErofsWish): Promise<string> {
  const options = [
    ...COMPRESSION,
    '-T0',
    `-U${UUID}`,
    '--all-root',
    '-x-1',
    '--workers=2',
    '--quiet',
  ];
  const key = sha256Hex(utf8([await keyOfTree(wish.entries), ...options].join('\n')));
  return makeOnce({
    path: wish.path,
    key,
    make: async (part) => {
      const tree = `${wish.path}.tree`;
      await layTree(tree, wish.entries);
      await runPinned({
        folders: wish.folders,
        package: 'erofs-utils',
        path: 'usr/bin/mkfs.erofs',
        args: [...options, part, tree],
      });
      await rm(tree, { recursive: true });
    },
  });
}
