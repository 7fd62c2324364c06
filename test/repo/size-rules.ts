import { Visitor } from 'oxc-parser';
import { isCode, lineAt, listFiles, readSources, type SourceFile } from './source.ts';

const FILE_LINES_MAX = 300;
const FUNCTION_LINES_MAX = 60;
const LINE_COLUMNS_MAX = 100;
const PARAMETERS_MAX = 3;
const FOLDER_FILES_MAX = 10;
const SRC_FOLDERS_DEEP_MAX = 2;

const FOLDERS = ['src', 'image', 'boot', 'test'];

/** Names that say nothing of what is inside. */
const EMPTY_WORDS = /(?:^|-)(?:manager|service|handler|helpers?|utils?|common|data|info)(?:-|$)/u;

/** The whole file name: a kebab-case noun, then what kind of file it is. */
const FILE_NAME =
  /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:kernel|journey|fuzz|process))?(?:\.test)?\.(?:ts|mjs|c)$/u;

/** Ways around the type checker, and promises to do the work another day. */
const FORBIDDEN_TEXT = /\bas any\b|@ts-(?:ignore|nocheck)|\bTO(?:DO)\b/u;

/** Every break of the size and naming rules below `root`, each a sentence with the file first. */
export function sizeFaults(root: string): string[] {
  const paths = listFiles(root, FOLDERS).filter((path) => isOurs(path));
  return [
    ...folderFaults(paths),
    ...paths.flatMap((path) => nameFaults(path)),
    ...readSources(root, FOLDERS).flatMap((file) => [
      ...textFaults(file),
      ...functionFaults(file),
      ...exportFaults(file),
    ]),
  ];
}

/** Vectors are written by others, and kept as they came. */
function isOurs(path: string): boolean {
  return !path.startsWith('test/vectors/') && !path.startsWith('test/golden/');
}

function folderFaults(paths: readonly string[]): string[] {
  const counts = Map.groupBy(paths, (path) => path.slice(0, path.lastIndexOf('/')));
  const crowded = [...counts].filter(([, inside]) => inside.length > FOLDER_FILES_MAX);
  const deep = paths.filter((path) => {
    return path.startsWith('src/') && path.split('/').length - 2 > SRC_FOLDERS_DEEP_MAX;
  });
  return [
    ...crowded.map(([folder, { length }]) => `${folder} holds ${length} files`),
    ...deep.map((path) => `${path} is deeper than ${SRC_FOLDERS_DEEP_MAX} folders`),
  ];
}

function nameFaults(path: string): string[] {
  const name = path.split('/').at(-1) ?? path;
  const isSource = isCode(path) || path.endsWith('.c');
  const stem = name.split('.')[0] ?? name;
  return [
    ...(isSource && !FILE_NAME.test(name) ? [`${path} is not a kebab-case name`] : []),
    ...(EMPTY_WORDS.test(stem) ? [`${path} has a name that says nothing`] : []),
  ];
}

function textFaults({ path, text }: SourceFile): string[] {
  const lines = text.split('\n');
  const count = text.endsWith('\n') ? lines.length - 1 : lines.length;
  const faults = count > FILE_LINES_MAX ? [`${path} has ${count} lines`] : [];
  for (const [index, line] of lines.entries()) {
    const columns = Array.from(line).length;
    // A test's title is one sentence, and the formatter keeps it on one line.
    if (/^test(?:\.[a-z]+)*\(/u.test(line)) continue;
    if (columns > LINE_COLUMNS_MAX) faults.push(`${path}:${index + 1} has ${columns} columns`);
    const found = FORBIDDEN_TEXT.exec(line);
    if (found !== null) faults.push(`${path}:${index + 1} says ${found[0]}`);
  }
  return faults;
}

type FunctionLike = {
  readonly start: number;
  readonly end: number;
  readonly params: readonly unknown[];
};

function functionFaults({ path, text, program }: SourceFile): string[] {
  const faults: string[] = [];
  const check = (node: FunctionLike): void => {
    const line = lineAt(text, node.start);
    const lines = lineAt(text, node.end) - line + 1;
    if (lines > FUNCTION_LINES_MAX) faults.push(`${path}:${line} is a function of ${lines} lines`);
    if (node.params.length > PARAMETERS_MAX) {
      faults.push(`${path}:${line} takes ${node.params.length} parameters`);
    }
  };
  new Visitor({
    FunctionDeclaration: (node) => check(node),
    FunctionExpression: (node) => check(node),
    ArrowFunctionExpression: (node) => check(node),
  }).visit(program);
  return faults;
}

/** No default exports, and one sentence above every exported function. */
function exportFaults({ path, text, program, comments }: SourceFile): string[] {
  const faults: string[] = [];
  for (const node of program.body) {
    const line = lineAt(text, node.start);
    if (node.type === 'ExportDefaultDeclaration' && !path.endsWith('.config.ts')) {
      faults.push(`${path}:${line} exports a default`);
    }
    const isFunction =
      node.type === 'ExportNamedDeclaration' && node.declaration?.type === 'FunctionDeclaration';
    if (!isFunction) continue;
    const isSaid = comments.some(
      ({ type, value, start, end }) =>
        type === 'Block' && value.startsWith('*') && start < node.start && isNext(text, end, node),
    );
    if (!isSaid) faults.push(`${path}:${line} exports a function without a sentence about it`);
  }
  return faults;
}

function isNext(text: string, end: number, node: { readonly start: number }): boolean {
  return end <= node.start && text.slice(end, node.start).trim() === '';
}
