import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { FILES } from '../files.ts';
import { FIRMWARE } from '../modules.ts';
import { ImageError } from '../errors.ts';
import { isElf, neededLibraries } from './elf.ts';
import { closeModules, imagePathOf, indexModules } from './module-set.ts';
import type { Product, Stage } from '../files.ts';
import type { KernelModules } from './module-set.ts';
import type { Folders } from './pinned-tools.ts';
import type { TreeEntry } from './tree.ts';

export type StageWish = {
  readonly stage: Stage;
  readonly folders: Folders;
  readonly kernel: KernelModules;
  readonly moduleNames: readonly string[];
  /** What the build made: a path on this machine, or a text. */
  readonly products: Readonly<Record<Exclude<Product, 'module-index'>, TreeSource>>;
};

export type TreeSource = { readonly source: string } | { readonly text: string };

/** All that is in a stage's image: the page of files, then its modules with their index. */
export async function stageEntries(wish: StageWish): Promise<TreeEntry[]> {
  const modules = closeModules(wish.kernel, wish.moduleNames);
  const index = JSON.stringify(indexModules(wish.kernel, modules));
  const entries: TreeEntry[] = modules.map((name) => ({
    path: imagePathOf(wish.kernel, name),
    kind: 'file',
    source: join(wish.kernel.folder, wish.kernel.paths.get(name) ?? ''),
  }));
  for (const { package: name, names } of FIRMWARE) {
    for (const firmware of names) {
      const path = `/usr/lib/firmware/${firmware}`;
      const source = await fileOf(wish.folders, { package: name, path });
      entries.push({ path, kind: 'file', source });
    }
  }
  for (const { path, source, stages } of FILES) {
    if (!stages.includes(wish.stage)) continue;
    if (source.from === 'folder') entries.push({ path, kind: 'folder' });
    else if (source.from === 'link') entries.push({ path, kind: 'link', target: source.target });
    else if (source.from === 'text') entries.push({ path, kind: 'text', text: source.text });
    else if (source.from === 'package') {
      entries.push({ path, kind: 'file', source: await fileOf(wish.folders, source) });
    } else {
      const product = { ...wish.products, 'module-index': { text: index } }[source.product];
      entries.push(
        'text' in product ? { path, kind: 'text', ...product } : { path, kind: 'file', ...product },
      );
    }
  }
  await checkLibraries(entries);
  return entries;
}

/** Follows links, which lead from a library's name to its version, inside its package only. */
async function fileOf(
  folders: Folders,
  source: { readonly package: string; readonly path: string },
): Promise<string> {
  const folder = folders.get(source.package);
  const path = join(folder ?? '', source.path);
  const real = await realpath(path).catch(() => undefined);
  if (folder !== undefined && real?.startsWith(`${await realpath(folder)}/`)) return real;
  throw new ImageError('FILE_MISSING', `The package ${source.package} has no ${source.path}.`);
}

/** A library is in a stage exactly when something in the stage needs it: no more, no less. */
export async function checkLibraries(entries: readonly TreeEntry[]): Promise<void> {
  const present = new Set<string>();
  const needed = new Map<string, string>();
  for (const entry of entries) {
    if (entry.kind !== 'file' || entry.path.endsWith('.ko.xz')) continue;
    const bytes = await readFile(entry.source);
    if (!isElf(bytes)) continue;
    const name = entry.path.split('/').at(-1) ?? '';
    if (/\.so(?:\.|$)/u.test(name)) present.add(name);
    for (const library of neededLibraries(bytes)) needed.set(library, entry.path);
  }
  for (const [library, user] of needed) {
    if (present.has(library)) continue;
    const sentence = `${user} needs ${library}, which is not in image/files.ts; add its line.`;
    throw new ImageError('LIBRARY_MISSING', sentence);
  }
  for (const library of present) {
    if (needed.has(library)) continue;
    const sentence = `Nothing needs ${library}; take its line out of image/files.ts.`;
    throw new ImageError('LIBRARY_SUPERFLUOUS', sentence);
  }
}
