import { readdirSync, readFileSync, type Dirent } from 'node:fs';
import { extname, join } from 'node:path';
import { parseSync, Visitor, type Comment, type Program } from 'oxc-parser';

export type Import = {
  /** What stands in the quotes; `undefined` when it is computed and so can't be followed. */
  readonly specifier: string | undefined;
  /** Erased before anything runs, so it loads nothing. */
  readonly isType: boolean;
  readonly line: number;
};

export type SourceFile = {
  /** From the root of the tree, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly program: Program;
  readonly comments: readonly Comment[];
  readonly imports: readonly Import[];
  /** Why the parser gave up; a file that can't be read keeps no rule, so it breaks them all. */
  readonly syntaxError: string | undefined;
};

const CODE = new Set(['.ts', '.mjs', '.js', '.cjs', '.mts', '.cts', '.tsx', '.jsx']);

/** Whether a path is code that the rules are about. */
export function isCode(path: string): boolean {
  return CODE.has(extname(path));
}

/** Every file below the folders, sorted, as paths from `root`; what is not there is empty. */
export function listFiles(root: string, folders: readonly string[]): string[] {
  const found: string[] = [];
  for (const folder of folders) {
    for (const entry of entriesOf(join(root, folder))) {
      const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) found.push(...listFiles(root, [path]));
      else found.push(path);
    }
  }
  return found.toSorted();
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Every code file below the folders, parsed. */
export function readSources(root: string, folders: readonly string[]): SourceFile[] {
  return listFiles(root, folders)
    .filter((path) => isCode(path))
    .map((path) => readSource(root, path));
}

function readSource(root: string, path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const parsed = parseSync(path, text);
  const { program, comments, errors } = parsed;
  return {
    path,
    text,
    program,
    comments,
    imports: importsOf(program, text),
    syntaxError: errors[0]?.message,
  };
}

/** The line, counted from 1, that an offset into a text falls on. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

type Quoted = { readonly type: string; readonly value?: unknown };

function importsOf(program: Program, text: string): Import[] {
  const found: Import[] = [];
  const add = (source: Quoted | null | undefined, start: number, isType: boolean): void => {
    const value = source?.type === 'Literal' ? source.value : undefined;
    const specifier = typeof value === 'string' ? value : undefined;
    found.push({ specifier, isType, line: lineAt(text, start) });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node.source, node.start, node.importKind === 'type'),
    ExportAllDeclaration: (node) => add(node.source, node.start, node.exportKind === 'type'),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) add(node.source, node.start, node.exportKind === 'type');
    },
    ImportExpression: (node) => add(node.source, node.start, false),
    TSImportType: (node) => add(node.source, node.start, true),
    TSImportEqualsDeclaration: (node) => add(undefined, node.start, false),
    CallExpression: (node) => {
      const { callee } = node;
      const isRequire = callee.type === 'Identifier' && callee.name === 'require';
      if (isRequire) add(node.arguments[0], node.start, false);
    },
  }).visit(program);
  return found;
}
