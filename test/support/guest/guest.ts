import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { run } from '../../../src/host/exec.ts';
import { type Machine, startQemu } from '../../../src/host/lab/qemu.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';
import { writeCpio } from '../../../src/lib/cpio.ts';
import { KERNEL_UP, readResult } from './mark.ts';

const DISK_BYTES = 1024 ** 3;

export type GuestWish = {
  readonly root: string;
  /** Emptied by whoever made it. */
  readonly folder: string;
  /** What runs in the guest; it can import anything of `src/`. */
  readonly script: string;
  readonly deadlineMs: number;
  /** Raw disk images to plug in, in this order; without it, one that is blank. */
  readonly diskPaths?: readonly string[];
  /** What else the machine has, or has otherwise: cards, a TPM, QMP, memory. */
  readonly machine?: Partial<Omit<Machine, 'kernel' | 'diskPaths' | 'onLine'>>;
  /** Every line of its console, as it comes. */
  readonly onLine?: (line: string) => void;
  /** More files for it, by the name that each has in its `/tmp`. */
  readonly files?: Readonly<Record<string, string>>;
};

/**
 * Emulated processors side by side can run into a breakpoint that one of them has just taken out of
 * the kernel's code again (`text_poke_bp_batch` of Linux). Nothing of ours has begun by then.
 */
const EMULATOR_RACE = /Oops: int3/u;
const KERNEL_STARTS_MAX = 3;

/** Runs a script on the released kernel and tools, in a machine of its own with a blank disk. */
export async function runInGuest(wish: GuestWish): Promise<unknown> {
  const initrdPath = await makeInitrd(wish);
  const diskPaths = wish.diskPaths ?? [await makeBlankDisk(wish.folder)];
  for (let starts = 1; ; starts += 1) {
    const lines = await runOnce(wish, initrdPath, diskPaths);
    const result = readResult(lines);
    if (result !== undefined) return result;
    const isRace =
      lines.some((line) => EMULATOR_RACE.test(line)) &&
      !lines.some((line) => line.includes(KERNEL_UP));
    if (!isRace || starts === KERNEL_STARTS_MAX) {
      throw new Error(`The guest ended without a result:\n${lines.slice(-60).join('\n')}`);
    }
    console.log('the emulated kernel ran into a breakpoint at its start; once more');
  }
}

/** What it said, when it has ended. */
async function runOnce(
  wish: GuestWish,
  initrdPath: string,
  diskPaths: readonly string[],
): Promise<readonly string[]> {
  const lines: string[] = [];
  await using machine = startQemu({
    accelerator: 'tcg',
    memoryMiB: 1024,
    processors: 2,
    cards: [],
    ...wish.machine,
    diskPaths,
    kernel: {
      path: join(wish.root, 'dist/release/vmlinuz'),
      initrdPath,
      append: 'rootfstype=ramfs quiet console=ttyS0 oops=panic panic=-1',
    },
    endsOnReset: true,
    onLine: (line) => {
      lines.push(line);
      wish.onLine?.(line);
    },
  });
  const { promise: late, reject } = Promise.withResolvers<never>();
  const text = (): string => lines.slice(-60).join('\n');
  const deadline = setTimeout(() => reject(new Error(`too slow:\n${text()}`)), wish.deadlineMs);
  await Promise.race([machine.ended, late]).finally(() => clearTimeout(deadline));
  return lines;
}

async function makeBlankDisk(folder: string): Promise<string> {
  const path = join(folder, 'disk.img');
  await using disk = await open(path, 'w');
  await disk.truncate(DISK_BYTES);
  return path;
}

/** The release's first stage, and behind it what the guest has on top; the last file wins. */
export async function makeInitrd(
  wish: Pick<GuestWish, 'root' | 'folder' | 'script' | 'files'>,
): Promise<string> {
  const { root, folder, script, files = {} } = wish;
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
    ...(await Promise.all(
      Object.entries(files).map(([name, path]) => file(`guest/${name}`, path, true)),
    )),
  ]);
  const first = await readFile(join(root, 'dist/release/initramfs.cpio'));
  const path = join(folder, 'initrd.cpio');
  await writeFile(path, concatBytes(first, change));
  return path;
}
