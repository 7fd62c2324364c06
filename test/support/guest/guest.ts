import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { run } from '../../../src/host/exec.ts';
import { startQemu } from '../../../src/host/lab/qemu.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';
import { writeCpio } from '../../../src/lib/cpio.ts';
import { RESULT_MARK } from './mark.ts';

const DISK_BYTES = 1024 ** 3;

export type GuestWish = {
  readonly root: string;
  /** Emptied by whoever made it. */
  readonly folder: string;
  /** What runs in the guest; it can import anything of `src/`. */
  readonly script: string;
  readonly deadlineMs: number;
};

/** Runs a script on the released kernel and tools, in a machine of its own with a blank disk. */
export async function runInGuest(wish: GuestWish): Promise<unknown> {
  const initrdPath = await makeInitrd(wish);
  const diskPath = join(wish.folder, 'disk.img');
  await using disk = await open(diskPath, 'w');
  await disk.truncate(DISK_BYTES);
  const lines: string[] = [];
  await using machine = startQemu({
    accelerator: 'tcg',
    memoryMiB: 1024,
    processors: 2,
    cards: [],
    diskPaths: [diskPath],
    kernel: {
      path: join(wish.root, 'dist/release/vmlinuz'),
      initrdPath,
      append: 'rootfstype=ramfs quiet console=ttyS0 panic=-1',
    },
    endsOnReset: true,
    onLine: (line) => lines.push(line),
  });
  const { promise: late, reject } = Promise.withResolvers<never>();
  const text = (): string => lines.slice(-60).join('\n');
  const deadline = setTimeout(() => reject(new Error(`too slow:\n${text()}`)), wish.deadlineMs);
  await Promise.race([machine.ended, late]).finally(() => clearTimeout(deadline));
  const result = lines.find((line) => line.includes(RESULT_MARK));
  if (result === undefined) throw new Error(`The guest ended without a result:\n${text()}`);
  return JSON.parse(result.slice(result.indexOf(RESULT_MARK) + RESULT_MARK.length));
}

/** The release's first stage, and behind it what the guest has on top; the last file wins. */
async function makeInitrd({ root, folder, script }: GuestWish): Promise<string> {
  const init = join(folder, 'init');
  const source = join(import.meta.dirname, 'init.c');
  await run({ file: 'musl-gcc', args: ['-static', '-Os', '-s', '-o', init, source] });
  const bundle = join(folder, 'script.mjs');
  await build({
    entryPoints: [script],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    target: 'node26',
    format: 'esm',
    logLevel: 'silent',
    banner: {
      js: "import{createRequire as zosRequire}from'node:module';const require=zosRequire('/');",
    },
  });
  const file = async (path: string, from: string, isExecutable = false) =>
    ({ path, kind: 'file', bytes: await readFile(from), isExecutable }) as const;
  const change = writeCpio([
    await file('init', init, true),
    await file('system.erofs', join(root, 'dist/release/system.erofs')),
    { path: 'guest', kind: 'folder' },
    await file('guest/node', join(root, 'dist/work/node-stripped'), true),
    await file('guest/script.mjs', bundle),
    await file('guest/web.erofs', join(root, 'dist/images/web.erofs')),
  ]);
  const first = await readFile(join(root, 'dist/release/initramfs.cpio'));
  const path = join(folder, 'initrd.cpio');
  await writeFile(path, concatBytes(first, change));
  return path;
}
