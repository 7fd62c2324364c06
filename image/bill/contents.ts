import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FILES } from '../files.ts';
import { FIRMWARE } from '../modules.ts';
import { imagePathOf } from '../parts/module-set.ts';
import type { Pins } from '../debian/pins.ts';
import type { KernelModules } from '../parts/module-set.ts';
import type { TreeEntry } from '../parts/tree.ts';

/** A file of the image whose bytes are somebody's program: where it came from, and its hashes. */
export type BilledFile = {
  readonly path: string;
  /** A Debian package's name, or `zero-os` for what the build makes. */
  readonly package: string;
  readonly sha1: string;
  readonly sha256: string;
};

/** An npm package with files in `zos-node`. */
export type BilledNpm = {
  readonly name: string;
  readonly version: string;
  readonly license: string;
};

/** Every program, library, module and firmware file of the entries, with the package it is from. */
export async function billFiles(wish: {
  readonly entries: readonly TreeEntry[];
  readonly kernel: KernelModules;
  readonly pins: Pins;
}): Promise<BilledFile[]> {
  const packages = packagesByPath(wish.kernel, wish.pins);
  const files: BilledFile[] = [];
  for (const entry of wish.entries) {
    if (entry.kind !== 'file') continue;
    const bytes = await readFile(entry.source);
    files.push({
      path: entry.path,
      package: packages.get(entry.path) ?? 'zero-os',
      sha1: createHash('sha1').update(bytes).digest('hex'),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
  }
  return files;
}

function packagesByPath(kernel: KernelModules, pins: Pins): Map<string, string> {
  const packages = new Map<string, string>();
  for (const { path, source } of FILES) {
    if (source.from === 'package') packages.set(path, source.package);
  }
  for (const { names, package: name } of FIRMWARE) {
    for (const firmware of names) packages.set(`/usr/lib/firmware/${firmware}`, name);
  }
  for (const name of kernel.paths.keys()) {
    packages.set(imagePathOf(kernel, name), pins.kernel.package);
  }
  return packages;
}

const packageSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string().default('NOASSERTION'),
});

/** The npm packages that files of a bundle belong to; `inputs` are paths below `root`. */
export async function billNpm(root: string, inputs: readonly string[]): Promise<BilledNpm[]> {
  const folders = new Set<string>();
  for (const input of inputs) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/u.exec(input)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  const read = [...folders].toSorted().map(async (folder) => {
    const text = await readFile(join(root, folder, 'package.json'), 'utf8');
    return packageSchema.parse(JSON.parse(text));
  });
  return Promise.all(read);
}
