import { join } from 'node:path';
import { run } from '../../src/host/exec.ts';
import { MINUTE_MS } from '../../src/lib/units.ts';

const LIBRARIES = 'usr/lib/x86_64-linux-gnu';

/**
 * Packages that the build runs from, beside those of the image: every host makes the same bytes
 * because tool, libraries and loader are all pinned, and none of them is the host's.
 */
export const BUILD_PACKAGES: readonly string[] = [
  'erofs-utils',
  'kmod',
  'systemd-boot-efi',
  'busybox-static',
  'grub-common',
  'grub-pc-bin',
  'libdevmapper1.02.1',
  'libdeflate0',
  'liblz4-1',
  'liblzma5',
  'libudev1',
  'libxxhash0',
];

export type Folders = ReadonlyMap<string, string>;

export type PinnedCommand = {
  /** Each package's unpacked folder, by name. */
  readonly folders: Folders;
  readonly package: string;
  readonly path: string;
  /** What the tool is called as, where one file is several tools. */
  readonly name?: string;
  readonly args: readonly string[];
};

/** Runs a tool out of a pinned package with that release's own loader and libraries. */
export async function runPinned(command: PinnedCommand): Promise<string> {
  const folderOf = (name: string): string => command.folders.get(name) ?? '';
  const libraries = [...command.folders.values()].map((folder) => join(folder, LIBRARIES));
  return run({
    file: join(folderOf('libc6'), LIBRARIES, 'ld-linux-x86-64.so.2'),
    args: [
      '--inhibit-cache',
      '--library-path',
      libraries.join(':'),
      '--argv0',
      command.name ?? command.path,
      join(folderOf(command.package), command.path),
      ...command.args,
    ],
    deadlineMs: 30 * MINUTE_MS,
  });
}
