import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Visitor } from 'oxc-parser';
import { graphOf, pathTo, type Graph } from './graph.ts';
import { lineAt, readSources, type SourceFile } from './source.ts';

/** The rows of `src/`, bottom to top: a part imports from itself and from lower rows only. */
export const ROWS: readonly (readonly string[])[] = [
  ['lib'],
  ['host', 'identity'],
  [
    'artifact',
    'attestation',
    'capacity',
    'record',
    'screen',
    'disk',
    'volume',
    'zosfs',
    'znet',
    'uplink',
    'container',
    'phonebook',
    'rollout',
    'gateway',
    'zstor',
    'ledger',
  ],
  ['contract'],
  ['sdk'],
  ['node', 'directory', 'bot', 'explorer'],
];

/** What the two folders beside `src/` may use of it; nothing in `src/` imports them. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  image: ['lib', 'host', 'identity', 'artifact', 'attestation', 'record'],
  boot: [
    'lib',
    'host',
    'identity',
    'artifact',
    'attestation',
    'record',
    'uplink',
    'screen',
    'image',
  ],
};

/** What the node's executable is made of: here alone boot program, agent and courier are known. */
const ENTRIES = /^image\/program\/(?:start|node|courier)\.ts$/u;

/** Whoever may touch the world by its place; only roles stand above `sdk`, which speaks HTTP. */
const EFFECT_PARTS = new Set(['host', 'sdk', ...(ROWS.at(-1) ?? []), 'image', 'boot']);

/** Whoever may touch the world by its name: `store-sqlite.ts` is a store. */
const EFFECT_NAME = /^(?:observe|apply|fetch|store)(?:-[a-z0-9-]+)?\.ts$/u;

/** All that computes and does nothing else; a module that is not here touches the world. */
const PURE_MODULES = new Set([
  '@scure/bip39',
  '@scure/bip39/wordlists/english.js',
  'node:assert',
  'node:assert/strict',
  'node:buffer',
  'node:crypto',
  'node:path',
  'node:path/posix',
  'node:util',
  'node:url',
  'node:zlib',
  // Its store of trusted metadata only computes; nothing else of it is used, and by one file.
  'tuf-js',
  '@tufjs/models',
  'tweetnacl',
  'yaml',
  'zod',
]);

/** Packages with one door each. */
const SINGLE_USERS: Readonly<Record<string, string>> = {
  execa: 'src/host/exec.ts',
  undici: 'src/host/http.ts',
  pg: 'src/host/net/postgres.ts',
  pino: 'src/host/log.ts',
  'prom-client': 'src/directory/metrics/metrics.ts',
  'tuf-js': 'src/artifact/release/metadata.ts',
  '@scure/bip39': 'src/identity/recovery.ts',
};

/** Environment, arguments, clock and chance: arguments to everybody but a main program. */
const AMBIENT = new Set([
  'process.env',
  'process.argv',
  'process.getBuiltinModule',
  'process.binding',
  'Date.now',
  'Math.random',
  'globalThis.process',
  'globalThis.Date',
  'globalThis.Math',
]);

/** The door to the clock itself. */
const CLOCK = 'src/host/clock.ts';

/** The part of the tree that a file belongs to: a folder of `src/`, or `image`, or `boot`. */
function partOf(path: string): string {
  const [top = '', folder = ''] = path.split('/');
  return top === 'src' ? folder : top;
}

function nameOf(path: string): string {
  return path.split('/').at(-1) ?? path;
}

/** Whether a name in the graph touches the world, by its place, its name, or what it is. */
export function isEffect(name: string): boolean {
  if (!name.includes('/') || name.startsWith('node:') || name.startsWith('@')) {
    return !PURE_MODULES.has(name);
  }
  return EFFECT_PARTS.has(partOf(name)) || EFFECT_NAME.test(nameOf(name));
}

/** Every break of the import rules below `root`, each a sentence that starts with the file. */
export function importFaults(root: string): string[] {
  const files = readSources(root, ['src', 'image', 'boot']);
  const graph = graphOf(root, files);
  const scripts = scriptsOf(root);
  return [
    ...graph.unresolved,
    ...files.flatMap((file) => [
      ...rowFaults(file.path, graph),
      ...purityFaults(file.path, graph),
      ...singleUserFaults(file.path, graph),
      ...(isMain(file, scripts) || file.path === CLOCK ? [] : ambientFaults(file)),
    ]),
  ];
}

/**
 * A main program is a role's `main.ts`, or in `image/` and `boot/` what a script of `package.json`
 * starts, or what says so itself with `import.meta.main`.
 */
function isMain(file: SourceFile, scripts: string): boolean {
  if (/^src\/[a-z]+\/main\.ts$/u.test(file.path)) return true;
  if (ENTRIES.test(file.path)) return true;
  if (!Object.hasOwn(OUTSIDE, partOf(file.path))) return false;
  return scripts.includes(file.path) || file.text.includes('import.meta.main');
}

function scriptsOf(root: string): string {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const { scripts } = JSON.parse(text) as { scripts?: Record<string, string> };
  return Object.values(scripts ?? {}).join('\n');
}

function rowFaults(path: string, graph: Graph): string[] {
  if (ENTRIES.test(path)) return [];
  const from = partOf(path);
  return (graph.edges.get(path) ?? []).flatMap(({ to, line }) => {
    if (!/^(?:src|image|boot|test)\//u.test(to)) return [];
    const target = partOf(to);
    return isAllowed(from, target) ? [] : [`${path}:${line} may not import ${to}`];
  });
}

function isAllowed(from: string, target: string): boolean {
  if (from === target) return true;
  const outside = OUTSIDE[from];
  if (outside !== undefined) return outside.includes(target);
  const [row, targetRow] = [rowOf(from), rowOf(target)];
  return row !== -1 && targetRow !== -1 && targetRow < row;
}

function rowOf(part: string): number {
  return ROWS.findIndex((row) => row.includes(part));
}

function purityFaults(path: string, graph: Graph): string[] {
  if (isEffect(path)) return [];
  const way = pathTo(graph, path, isEffect);
  return way === undefined ? [] : [`${path} is pure and reaches ${way.slice(1).join(' -> ')}`];
}

function singleUserFaults(path: string, graph: Graph): string[] {
  return (graph.edges.get(path) ?? []).flatMap(({ to, line }) => {
    const owner = SINGLE_USERS[to];
    if (owner === undefined || owner === path) return [];
    return [`${path}:${line} imports ${to}, which only ${owner} may`];
  });
}

function ambientFaults(file: SourceFile): string[] {
  const faults: string[] = [];
  const add = (what: string, start: number): void => {
    const line = lineAt(file.text, start);
    faults.push(`${file.path}:${line} uses ${what}, which only a main program may`);
  };
  new Visitor({
    MemberExpression: (node) => {
      if (node.object.type !== 'Identifier') return;
      const key = 'name' in node.property ? node.property.name : literalOf(node.property);
      const what = `${node.object.name}.${String(key)}`;
      if (AMBIENT.has(what)) add(what, node.start);
    },
    VariableDeclarator: (node) => {
      const { id, init } = node;
      if (init?.type !== 'Identifier' || id.type !== 'ObjectPattern') return;
      for (const part of id.properties) {
        const { start, end } = part.type === 'Property' ? part.key : part;
        const key = file.text.slice(start, end);
        const what = `${init.name}.${key}`;
        const isRest = part.type === 'RestElement' && init.name === 'process';
        if (AMBIENT.has(what) || isRest) add(what, start);
      }
    },
    NewExpression: (node) => {
      const isDate = node.callee.type === 'Identifier' && node.callee.name === 'Date';
      if (isDate && node.arguments.length === 0) add('new Date()', node.start);
    },
    ImportDeclaration: (node) => {
      if (node.source.value === 'node:process') add('node:process', node.start);
    },
  }).visit(file.program);
  return faults;
}

function literalOf(node: { readonly type: string; readonly value?: unknown }): unknown {
  return node.type === 'Literal' ? node.value : undefined;
}
