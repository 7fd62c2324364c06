import { mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { aliasKey } from '../../src/lib/modalias.ts';
import { ImageError } from '../errors.ts';
import { runPinned } from './pinned-tools.ts';
import type { ModuleIndex } from '../../src/lib/modalias.ts';
import type { Folders } from './pinned-tools.ts';

/** What the kernel package's modules need and drive, as depmod finds it. */
export type KernelModules = {
  readonly release: string;
  /** The folder that module paths are below. */
  readonly folder: string;
  /** Name -> path below `folder`. */
  readonly paths: ReadonlyMap<string, string>;
  /** Name -> what has to be loaded before, in order. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
  readonly aliases: readonly { readonly pattern: string; readonly module: string }[];
  readonly builtin: ReadonlySet<string>;
};

/** Runs depmod, once, over the unpacked kernel package; its own note says that it is done. */
export async function readKernelModules(wish: {
  readonly folders: Folders;
  readonly kernel: { readonly package: string; readonly release: string };
}): Promise<KernelModules> {
  const { package: name, release } = wish.kernel;
  const root = wish.folders.get(name) ?? '';
  const folder = join(root, 'usr/lib/modules', release);
  const done = join(folder, '.indexed');
  if (!(await stat(done).catch(() => undefined))) {
    await rm(join(root, 'lib'), { force: true });
    await symlink('usr/lib', join(root, 'lib'));
    await mkdir(folder, { recursive: true });
    const args = ['-b', root, '-F', join(root, `boot/System.map-${release}`), release];
    const tool = { package: 'kmod', path: 'usr/bin/kmod', name: 'depmod' };
    await runPinned({ folders: wish.folders, ...tool, args });
    await writeFile(done, '');
  }
  return parseIndexes(release, folder);
}

async function parseIndexes(release: string, folder: string): Promise<KernelModules> {
  const lines = async (name: string): Promise<string[]> =>
    (await readFile(join(folder, name), 'utf8')).split('\n').filter((line) => line !== '');
  const paths = new Map<string, string>();
  const needs = new Map<string, readonly string[]>();
  for (const line of await lines('modules.dep')) {
    const [path = '', others = ''] = line.split(':');
    paths.set(nameOf(path), path);
    // depmod lists the nearest need first; loading starts with the farthest.
    needs.set(nameOf(path), others.trim().split(' ').filter(Boolean).map(nameOf).toReversed());
  }
  for (const line of await lines('modules.softdep')) addSoftNeeds(needs, line);
  const aliases = (await lines('modules.alias')).flatMap((line) => {
    const [, pattern, module] = /^alias (\S+) (\S+)$/u.exec(line) ?? [];
    return pattern === undefined || module === undefined ? [] : [{ pattern, module }];
  });
  const builtin = new Set((await lines('modules.builtin')).map(nameOf));
  return { release, folder, paths, needs, aliases, builtin };
}

/** `softdep r8169 pre: realtek`: better with it, so it goes first where it is in the image. */
function addSoftNeeds(needs: Map<string, readonly string[]>, line: string): void {
  const [, name = '', before = ''] =
    /^softdep (\S+) .*?pre: ([^:]*?)(?: post:.*)?$/u.exec(line) ?? [];
  const own = needs.get(name);
  const soft = before.split(' ').filter((other) => needs.has(other) && other !== name);
  if (own !== undefined) needs.set(name, [...new Set([...soft, ...own])]);
}

/** The named modules with all they need; throws for a name the kernel does not have. */
export function closeModules(kernel: KernelModules, names: readonly string[]): string[] {
  const chosen = new Set<string>();
  for (const name of names) {
    if (kernel.builtin.has(name)) continue;
    if (!kernel.paths.has(name)) {
      throw new ImageError(
        'MODULE_UNKNOWN',
        `The kernel has no module ${name}; see image/modules.ts.`,
      );
    }
    for (const need of [...hardNeeds(kernel, name), name]) chosen.add(need);
  }
  return [...chosen].toSorted();
}

function hardNeeds(kernel: KernelModules, name: string): readonly string[] {
  return kernel.needs.get(name) ?? [];
}

/** The index that the node reads: only the modules in its image, patterns grouped for look-up. */
export function indexModules(kernel: KernelModules, names: readonly string[]): ModuleIndex {
  const inImage = new Set(names);
  const modules: ModuleIndex['modules'] = {};
  for (const name of names) {
    modules[name] = {
      path: imagePathOf(kernel, name),
      needs: hardNeeds(kernel, name).filter((need) => inImage.has(need)),
    };
  }
  const aliases: ModuleIndex['aliases'] = {};
  for (const { pattern, module } of kernel.aliases) {
    if (inImage.has(module)) (aliases[aliasKey(pattern)] ??= []).push([pattern, module]);
  }
  return { release: kernel.release, modules, aliases };
}

/** Where a module lies in the image. */
export function imagePathOf(kernel: KernelModules, name: string): string {
  return `/usr/lib/modules/${kernel.release}/${kernel.paths.get(name)}`;
}

/** A module's name is its file's, with every `-` a `_`. */
function nameOf(path: string): string {
  return (basename(path).split('.')[0] ?? '').replaceAll('-', '_');
}
