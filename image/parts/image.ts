import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeCpio } from '../../src/lib/cpio.ts';
import { fetchPackages, unpackPackages } from '../debian/packages.ts';
import { BOOT_MODULES, FIRST_MODULES, SECOND_MODULES } from '../modules.ts';
import { makeErofs } from './erofs.ts';
import { makeExecutable } from './executable.ts';
import { makeInit } from './init.ts';
import { closeModules, readKernelModules } from './module-set.ts';
import { stageEntries } from './stage-entries.ts';
import type { CpioEntry } from '../../src/lib/cpio.ts';
import type { Pins } from '../debian/pins.ts';
import type { Stage } from '../files.ts';
import type { KernelModules } from './module-set.ts';
import type { Phase, Say } from './phase.ts';
import type { Folders } from './pinned-tools.ts';
import type { StageWish } from './stage-entries.ts';

export type BuildWish = {
  readonly paths: Paths;
  readonly pins: Pins;
  readonly version: string;
  readonly findMirror: () => Promise<string>;
  readonly phase: Phase;
  readonly say: Say;
};

export type Paths = {
  /** The repository. */
  readonly root: string;
  readonly cache: string;
  readonly work: string;
  readonly release: string;
  readonly images: string;
  /** The Update Framework's root keys, made before the first image is. */
  readonly trustedRoot: string;
};

/** Makes everything in `dist/release/` and `dist/images/`, each part once for its inputs. */
export async function buildImage(wish: BuildWish): Promise<void> {
  const { paths, pins, phase } = wish;
  for (const folder of [paths.work, paths.release, paths.images]) {
    await mkdir(folder, { recursive: true });
  }
  const folders = await phase('packages', async () => unpackAll(wish));
  const kernel = await phase('kernel modules', async () =>
    readKernelModules({ folders, kernel: pins.kernel }),
  );
  const executable = await phase('zos-node', async () => makeExecutable({ ...paths, pins }));
  const products = await makeProducts(wish, executable.path);
  const stage = { folders, kernel, products };
  const first = await phase('first stage', async () => makeFirst(wish, stage));
  await phase('second stage', async () => makeSecond(wish, stage));
  await phase('initramfs', async () => makeInitramfs(wish, { kernel, first }));
  await copyFile(
    join(folders.get(pins.kernel.package) ?? '', `boot/vmlinuz-${pins.kernel.release}`),
    join(paths.release, 'vmlinuz'),
  );
}

async function unpackAll(wish: BuildWish): Promise<Folders> {
  const fetched = await fetchPackages({ ...wish, cache: wish.paths.cache });
  return unpackPackages({
    pins: wish.pins,
    paths: fetched,
    folder: join(wish.paths.work, 'packages'),
  });
}

type Parts = Pick<StageWish, 'folders' | 'kernel' | 'products'>;

async function makeProducts(wish: BuildWish, executable: string): Promise<Parts['products']> {
  const init = await makeInit({ ...wish.paths, stage: 'second' });
  const root = await readFile(wish.paths.trustedRoot, 'utf8').catch(() => undefined);
  if (root === undefined) {
    wish.say(
      `no ${wish.paths.trustedRoot}: the image will trust no release; first run: npm run release -- --keys`,
    );
  }
  const release = { name: 'zero-os', version: wish.version, notBefore: wish.pins.release.date };
  return {
    'zos-node': { source: executable },
    init: { source: init },
    release: { text: `${JSON.stringify(release)}\n` },
    'trusted-root': root === undefined ? undefined : { text: root },
  };
}

/** Names of the modules of a stage; the second has those of the first as well. */
export function moduleNamesOf(stage: Stage): string[] {
  const groups = stage === 'first' ? FIRST_MODULES : [...FIRST_MODULES, ...SECOND_MODULES];
  return groups.flatMap((group) => group.names);
}

async function makeFirst(wish: BuildWish, parts: Parts): Promise<string> {
  const moduleNames = moduleNamesOf('first');
  const entries = await stageEntries({ ...parts, stage: 'first', moduleNames });
  const path = join(wish.paths.work, 'first.erofs');
  return makeErofs({ folders: parts.folders, entries, path });
}

async function makeSecond(wish: BuildWish, parts: Parts): Promise<string> {
  const moduleNames = moduleNamesOf('second');
  const entries = await stageEntries({ ...parts, stage: 'second', moduleNames });
  const path = join(wish.paths.work, 'system.erofs');
  await makeErofs({ folders: parts.folders, entries, path });
  const target = join(wish.paths.release, 'system.erofs');
  await copyFile(path, target);
  return target;
}

type Initramfs = { readonly kernel: KernelModules; readonly first: string };

/** PID 1, the modules it mounts erofs with, and the first stage's erofs, in the kernel's archive. */
async function makeInitramfs(wish: BuildWish, { kernel, first }: Initramfs): Promise<void> {
  const init = await makeInit({ ...wish.paths, stage: 'first' });
  const entries: CpioEntry[] = [
    { path: 'init', kind: 'file', bytes: await readFile(init), isExecutable: true },
    { path: 'modules', kind: 'folder' },
  ];
  for (const name of closeModules(kernel, BOOT_MODULES)) {
    const bytes = await readFile(join(kernel.folder, kernel.paths.get(name) ?? ''));
    entries.push({ path: `modules/${name}.ko.xz`, kind: 'file', bytes });
  }
  entries.push({ path: 'first.erofs', kind: 'file', bytes: await readFile(first) });
  await writeFile(join(wish.paths.release, 'initramfs.cpio'), writeCpio(entries));
}
