import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeCpio } from '../../src/lib/cpio.ts';
import { fetchPackages, packageFolders, unpackPackages } from '../debian/packages.ts';
import { moduleNamesOf } from '../audit/allowed.ts';
import { BOOT_MODULES } from '../modules.ts';
import { ImageError } from '../errors.ts';
import { makeLoaders } from '../loader/grub.ts';
import { webEntries } from '../web.ts';
import { isElf } from './elf.ts';
import { makeErofs } from './erofs.ts';
import { makeExecutable } from '../node/executable.ts';
import { makeInit } from './init.ts';
import { closeModules, readKernelModules } from './module-set.ts';
import { stageEntries } from './stage-entries.ts';
import { makeUki } from '../loader/uki.ts';
import type { CpioEntry } from '../../src/lib/cpio.ts';
import type { Pins } from '../debian/pins.ts';
import type { Paths } from '../paths.ts';
import type { TreeEntry } from './tree.ts';
import type { KernelModules } from './module-set.ts';
import type { Phase, Say } from './phase.ts';
import type { Folders } from './pinned-tools.ts';
import type { StageWish } from './stage-entries.ts';

const MAKE_KEYS = 'make the keys that sign releases first: npm run release -- --keys';

export type BuildWish = {
  readonly paths: Paths;
  readonly pins: Pins;
  readonly version: string;
  readonly findMirror: () => Promise<string>;
  readonly phase: Phase;
  readonly say: Say;
};

export type Built = {
  readonly kernel: KernelModules;
  /** Everything in the images, each path once, the initramfs's own PID 1 too. */
  readonly entries: readonly TreeEntry[];
  /** Files that the bundle in `zos-node` was made of. */
  readonly inputs: readonly string[];
};

/** Makes everything in `dist/release/` and `dist/images/`, each part once for its inputs. */
export async function buildImage(wish: BuildWish): Promise<Built> {
  const { paths, pins, phase } = wish;
  for (const folder of [paths.work, paths.release, paths.images]) {
    await mkdir(folder, { recursive: true });
  }
  const folders = await phase('packages', async () => unpackAll(wish));
  const kernel = await phase('kernel modules', async () =>
    readKernelModules({ folders, kernel: pins.kernel }),
  );
  const executable = await phase('zos-node', async () => makeExecutable({ paths, pins }));
  const products = await makeProducts(wish, executable.path);
  const stage = { folders, kernel, products };
  const first = await phase('first stage', async () => makeFirst(wish, stage));
  const second = await phase('second stage', async () => makeSecond(wish, stage));
  const initramfs = await phase('initramfs', async () =>
    makeInitramfs(wish, { kernel, first: first.path }),
  );
  const initramfsPath = join(paths.work, 'initramfs.cpio');
  await phase('unified kernel image', async () =>
    makeUki({
      folders,
      kernel: pins.kernel,
      version: wish.version,
      initramfsPath,
      folder: paths.work,
    }),
  );
  const loaders = await phase('BIOS loaders', async () =>
    makeLoaders({ folders, publicKeyPath: paths.loaderKey, work: paths.work }),
  );
  for (const path of loaders) await publish(path, paths.release);
  const web = await phase('sample container', async () =>
    makeErofs({ folders, entries: webEntries(folders), path: join(paths.work, 'web.erofs') }),
  );
  await publish(web, paths.images);
  const all = [...first.entries, ...second, ...initramfs];
  // What is in both stages is the same file in both.
  const entries = [...new Map(all.map((entry) => [entry.path, entry])).values()];
  return { kernel, entries, inputs: executable.inputs };
}

async function unpackAll(wish: BuildWish): Promise<Folders> {
  const paths = await fetchPackages({ ...wish, cache: wish.paths.cache });
  const folders = packageFolders(wish.pins, join(wish.paths.work, 'packages'));
  await unpackPackages({ folders, paths });
  return folders;
}

type Parts = Pick<StageWish, 'folders' | 'kernel' | 'products'>;

async function makeProducts(wish: BuildWish, executable: string): Promise<Parts['products']> {
  const init = await makeInit({ ...wish.paths, stage: 'second' });
  const root = await readFile(wish.paths.trustedRoot, 'utf8').catch((cause: unknown) => {
    throw new ImageError('FILE_MISSING', `There is no ${wish.paths.trustedRoot}; ${MAKE_KEYS}.`, {
      cause,
    });
  });
  const release = { name: 'zero-os', version: wish.version, notBefore: wish.pins.release.date };
  return {
    'zos-node': { source: executable },
    init: { source: init },
    release: { text: `${JSON.stringify(release)}\n` },
    'trusted-root': { text: root },
  };
}

type Stage = { readonly path: string; readonly entries: readonly TreeEntry[] };

async function makeFirst(wish: BuildWish, parts: Parts): Promise<Stage> {
  const moduleNames = moduleNamesOf('first');
  const entries = await stageEntries({ ...parts, stage: 'first', moduleNames });
  const path = join(wish.paths.work, 'first.erofs');
  await makeErofs({ folders: parts.folders, entries, path });
  return { path, entries };
}

async function makeSecond(wish: BuildWish, parts: Parts): Promise<TreeEntry[]> {
  const moduleNames = moduleNamesOf('second');
  const entries = await stageEntries({ ...parts, stage: 'second', moduleNames });
  const path = join(wish.paths.work, 'system.erofs');
  await makeErofs({ folders: parts.folders, entries, path });
  await publish(path, wish.paths.release);
  return entries;
}

type Initramfs = { readonly kernel: KernelModules; readonly first: string };

/**
 * PID 1, the modules it mounts erofs with, and the first stage's erofs, in the kernel's archive.
 */
async function makeInitramfs(wish: BuildWish, { kernel, first }: Initramfs): Promise<TreeEntry[]> {
  const init = await makeInit({ ...wish.paths, stage: 'first' });
  const entries: TreeEntry[] = [{ path: '/init', kind: 'file', source: init }];
  for (const name of closeModules(kernel, BOOT_MODULES)) {
    const source = join(kernel.folder, kernel.paths.get(name) ?? '');
    entries.push({ path: `/modules/${name}.ko.xz`, kind: 'file', source });
  }
  const members: CpioEntry[] = [{ path: 'modules', kind: 'folder' }];
  for (const entry of [
    ...entries,
    { path: '/first.erofs', kind: 'file', source: first } as const,
  ]) {
    if (entry.kind !== 'file') continue;
    const bytes = await readFile(entry.source);
    members.push({ path: entry.path.slice(1), kind: 'file', bytes, isExecutable: isElf(bytes) });
  }
  const path = join(wish.paths.work, 'initramfs.cpio');
  await writeFile(path, writeCpio(members));
  await publish(path, wish.paths.release);
  return entries;
}

/** Puts a finished file where it is served from, in one step: nobody ever reads half of one. */
async function publish(path: string, folder: string): Promise<void> {
  const part = join(folder, `${basename(path)}.part`);
  await copyFile(path, part);
  await rename(part, join(folder, basename(path)));
}
