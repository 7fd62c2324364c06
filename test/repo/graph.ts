import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix } from 'node:path';
import type { SourceFile } from './source.ts';

export type Edge = {
  /** A path in the tree, `node:name`, or the name of an npm package. */
  readonly to: string;
  readonly isType: boolean;
  readonly line: number;
};

export type Graph = {
  readonly edges: ReadonlyMap<string, readonly Edge[]>;
  /** Imports that could not be followed, each a sentence: nothing is known of what they reach. */
  readonly unresolved: readonly string[];
};

/** The import graph of the files; whatever can't be followed to its end is a fault. */
export function graphOf(root: string, files: readonly SourceFile[]): Graph {
  const known = new Set(files.map((file) => file.path));
  const packages = packagesOf(root);
  const edges = new Map<string, Edge[]>();
  const unresolved: string[] = [];
  for (const file of files) {
    const own: Edge[] = [];
    if (file.syntaxError !== undefined) {
      unresolved.push(`${file.path} can't be parsed: ${file.syntaxError}`);
    }
    for (const { specifier, isType, line } of file.imports) {
      const to = resolve({ root, known, packages, from: file.path, specifier });
      if (to === undefined) {
        unresolved.push(`${file.path}:${line} imports ${specifier ?? 'a computed name'}`);
      } else own.push({ to, isType, line });
    }
    edges.set(file.path, own);
  }
  return { edges, unresolved };
}

type Wish = {
  readonly root: string;
  readonly known: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
  readonly from: string;
  readonly specifier: string | undefined;
};

function resolve({ root, known, packages, from, specifier }: Wish): string | undefined {
  if (specifier === undefined) return undefined;
  if (specifier.startsWith('.')) {
    const path = posix.join(posix.dirname(from), specifier);
    if (known.has(path)) return path;
    return path.endsWith('.json') && existsSync(join(root, path)) ? path : undefined;
  }
  if (specifier.startsWith('node:')) {
    const name = specifier.slice('node:'.length);
    // Some builtins have no name without the prefix, and are listed with it.
    const isBuiltin = builtinModules.includes(name) || builtinModules.includes(specifier);
    return isBuiltin ? specifier : undefined;
  }
  const depth = specifier.startsWith('@') ? 2 : 1;
  const name = specifier.split('/').slice(0, depth).join('/');
  return packages.has(name) ? name : undefined;
}

function packagesOf(root: string): ReadonlySet<string> {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const manifest = JSON.parse(text) as Record<string, Record<string, string> | undefined>;
  return new Set(Object.keys({ ...manifest['dependencies'], ...manifest['devDependencies'] }));
}

/** The shortest way along value imports from a file to something `isGoal` names, ends included. */
export function pathTo(
  graph: Graph,
  start: string,
  isGoal: (name: string) => boolean,
): readonly string[] | undefined {
  const ways: string[][] = [[start]];
  const seen = new Set([start]);
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    for (const { to, isType } of graph.edges.get(way.at(-1) ?? start) ?? []) {
      if (isType || seen.has(to)) continue;
      if (isGoal(to)) return [...way, to];
      seen.add(to);
      ways.push([...way, to]);
    }
  }
  return undefined;
}
