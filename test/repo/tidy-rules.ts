import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isCode, listFiles } from './source.ts';

/** What may stand at the top of the repository, and why. */
const TOP_LEVEL: Readonly<Record<string, string>> = {
  'package.json': 'commands and pinned packages',
  'package-lock.json': 'every package by version and hash',
  'tsconfig.json': 'types',
  'README.md': 'what it is',
  LICENSE: 'Apache-2.0',
  src: 'the product',
  image: 'what a node boots',
  boot: 'who serves it',
  test: 'proof',
  '.ci': 'the command a clean machine runs',
  '.gitignore': 'git',
  '.npmrc': 'npm',
  '.oxlintrc.json': 'lint',
  '.oxfmtrc.json': 'format',
};

/** Files that a kernel starts by their first line: the CI's command, and `zos` as npm links it. */
const SCRIPTS = new Set(['.ci/run', 'src/bot/main.ts']);

/** Where packages come from is each machine's own business: no such host is named here. */
const HOSTS = new RegExp(
  [
    ...['registry', 'deb', 'snapshot', 'archive', 'security', 'mirrors?', 'ftp', 'ports'].map(
      (name) => `\\b${name}\\.[a-z0-9-]+\\.(?!ts\\b)[a-z]{2,}`,
    ),
    ...['npmjs', 'yarnpkg', 'npmmirror', 'debian', 'ubuntu', 'nodesource'].map(
      (name) => `\\b${name}\\.(?:org|com|net)\\b`,
    ),
    '\\bnodejs\\.org/(?:dist|download)',
  ].join('|'),
  'u',
);

/** Secrets that were meant to stay at home. */
const SECRETS =
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY|\b(?:ghp|npm)_[A-Za-z0-9]{30}|\bAKIA[0-9A-Z]{16}/u;

/** Installed or built here, and never in git. */
const NOT_OURS = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Every break of the rules on what may stand in the repository, each with the file first. */
export function tidyFaults(root: string): string[] {
  const tops = readdirSync(root).filter((name) => !NOT_OURS.has(name));
  const strangers = tops.filter((name) => !Object.hasOwn(TOP_LEVEL, name));
  const paths = tops.flatMap((name) => {
    return statSync(join(root, name)).isDirectory() ? listFiles(root, [name]) : [name];
  });
  return [
    ...strangers.map((name) => `${name} is not on the list of the top level`),
    ...paths.flatMap((path) => contentFaults(path, readFileSync(join(root, path), 'latin1'))),
  ];
}

function contentFaults(path: string, text: string): string[] {
  const faults: string[] = [];
  if (text.startsWith('#!') && !SCRIPTS.has(path)) faults.push(`${path} begins with #!`);
  const host = HOSTS.exec(text);
  // What is published about packages elsewhere, such as test vectors, may say where it is from.
  if (host !== null && !path.startsWith('test/vectors/')) faults.push(`${path} names ${host[0]}`);
  if (path === 'package-lock.json' && /"resolved":/u.test(text)) {
    faults.push(`${path} records a download address`);
  }
  if (path === 'package-lock.json') faults.push(...lockFaults(text));
  if (SECRETS.test(text)) faults.push(`${path} holds a secret`);
  if (isCode(path) && text.includes('\r')) faults.push(`${path} has carriage returns`);
  return faults;
}

type Locked = {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly version?: string;
};

/**
 * The lock holds every optional package, also those for other systems: `npm ci` refuses one that
 * does not, and npm leaves out what the mirror at hand did not have.
 */
function lockFaults(text: string): string[] {
  const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, Locked>> };
  return Object.entries(packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => lockedOf(packages, parent, name) === undefined)
      .map((name) => `package-lock.json lacks ${name}, which ${parent} may use`),
  );
}

/** What Node would find from a folder: in its own `node_modules`, or in one further up. */
function lockedOf(
  packages: Readonly<Record<string, Locked>>,
  parent: string,
  name: string,
): Locked | undefined {
  const own = packages[`${parent === '' ? '' : `${parent}/`}node_modules/${name}`];
  if (own !== undefined || parent === '') return own;
  const cut = parent.lastIndexOf('/node_modules/');
  return lockedOf(packages, cut === -1 ? '' : parent.slice(0, cut), name);
}
