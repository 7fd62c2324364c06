import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Visitor } from 'oxc-parser';
import { readSources, type SourceFile } from './source.ts';

/** A path of the repository, as far as its first dot or slash shows it to be one. */
const PATH = /^(?:src|image|boot|test|\.ci)\/[\w./-]*$/u;

/** A test that the README names: where it is, and its title. */
const CITED = /`(?<path>test\/[\w./-]+)` › “(?<title>[^”]+)”/gu;

/** Every break of the README's word below `root`: what it names must be there. */
export function readmeFaults(root: string): string[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const sources = readSources(root, ['src/bot', 'boot', 'image', 'test']);
  return [
    ...codeOf(readme).flatMap((code) => [
      ...pathFaults(root, code),
      ...commandFaults(root, code, sources),
    ]),
    ...linkFaults(root, readme),
    ...citationFaults(readme, sources),
    ...promiseFaults(readme),
  ].map((fault) => `README.md ${fault}`);
}

/** The lines of its fenced blocks without their remarks, and its code spans. */
function codeOf(readme: string): string[] {
  const blocks = readme.matchAll(/^```(?:sh|bash|console)\n(?<body>[^]*?)^```$/gmu);
  const lines = [...blocks].flatMap((block) => (block.groups?.['body'] ?? '').split('\n'));
  const prose = readme.replaceAll(/^```[^]*?^```$/gmu, '');
  const spans = [...prose.matchAll(/`(?<code>[^`\n]+)`/gu)].map((span) => span.groups?.['code']);
  return [...lines, ...spans]
    .map((line) => (line ?? '').replace(/\s#\s.*$/u, '').trim())
    .filter((line) => line !== '');
}

function pathFaults(root: string, code: string): string[] {
  const isMissing = PATH.test(code) && !existsSync(join(root, code));
  return isMissing ? [`names ${code}, which is not there`] : [];
}

function linkFaults(root: string, readme: string): string[] {
  return [...readme.matchAll(/\]\((?<to>[^)#\s]+)[^)]*\)/gu)]
    .map((link) => link.groups?.['to'] ?? '')
    .filter((to) => !to.includes('://') && !existsSync(join(root, to)))
    .map((to) => `links to ${to}, which is not there`);
}

function commandFaults(root: string, code: string, sources: readonly SourceFile[]): string[] {
  const words = code.replace(/^sudo /u, '').split(/\s+/u);
  const [tool, first = '', second = ''] = words;
  if (tool !== 'npm' && tool !== 'zos') return [];
  const isKnown = tool === 'npm' ? isNpmCommand(root, first, second) : isZos(first, sources);
  const known = sources.map((file) => file.text).join('\n');
  const flags = words
    .filter((word) => /^--[a-z]/u.test(word))
    .map((word) => word.split('=')[0] ?? word)
    .filter((flag) => !known.includes(flag) && !known.includes(`'${flag.slice(2)}'`));
  return [
    ...(isKnown ? [] : [`gives the command “${code}”, which does not exist`]),
    ...flags.map((flag) => `gives ${flag} in “${code}”, which nothing reads`),
  ];
}

function isNpmCommand(root: string, first: string, second: string): boolean {
  if (first === 'ci' || first === 'install') return true;
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  const { scripts } = JSON.parse(text) as { scripts: Record<string, string> };
  const name = first === 'run' ? second : first;
  return Object.hasOwn(scripts, name);
}

/** Commands of `zos` are what `src/bot` hands to commander: `.command('deploy <file>')`. */
function isZos(name: string, sources: readonly SourceFile[]): boolean {
  const bot = sources.filter((file) => file.path.startsWith('src/bot/'));
  if (name === '' || name.startsWith('-')) return bot.length > 0;
  return bot.some((file) => new RegExp(`command\\(\\s*['"\`]${name}\\b`, 'u').test(file.text));
}

function citationFaults(readme: string, sources: readonly SourceFile[]): string[] {
  return [...readme.matchAll(CITED)].flatMap(({ groups }) => {
    const { path = '', title = '' } = groups ?? {};
    const file = sources.find((source) => source.path === path);
    if (file === undefined) return [`cites ${path}, which is not there`];
    return titlesOf(file).has(title) ? [] : [`cites “${title}”, which ${path} does not test`];
  });
}

/** The titles of the tests in a file, read from its syntax: `test('title', ...)` and its kin. */
function titlesOf(file: SourceFile): ReadonlySet<string> {
  const titles = new Set<string>();
  new Visitor({
    CallExpression: (node) => {
      const callee = file.text.slice(node.callee.start, node.callee.end);
      const [title] = node.arguments;
      const isSkipped = /\.(?:skip|todo|fails)\b/u.test(callee);
      if (!callee.startsWith('test') || isSkipped || title?.type !== 'Literal') return;
      titles.add(String(title.value));
    },
  }).visit(file.program);
  return titles;
}

/** Under a heading that says promises, every row of a table names the test that proves it. */
function promiseFaults(readme: string): string[] {
  const sections = readme.split(/^(?=#{1,6} )/mu);
  const promising = sections.filter((section) => /^#+ .*promise/iu.test(section));
  const rows = promising.flatMap((section) => {
    const lines = section.split('\n').filter((line) => line.startsWith('|'));
    return lines.slice(2);
  });
  if (rows.length === 0) return ['has no table of what is promised, with the test of each'];
  return rows
    .filter((row) => row.match(CITED) === null)
    .map((row) => `promises without a test: ${row.split('|')[1]?.trim() ?? row}`);
}
