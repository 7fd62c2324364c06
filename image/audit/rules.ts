import { sha256Hex, textOf } from '../../src/lib/bytes.ts';
import { isElf } from '../parts/elf.ts';

/** One thing in a built image, as it lies there. */
export type Found = {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  /** Permissions with the setuid, setgid and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Extended attributes, which is where file capabilities are. */
  readonly attributeBytes: number;
  readonly bytes: Uint8Array;
};

export type FindingCode =
  | 'SHELL'
  | 'INTERPRETER'
  | 'BUSYBOX'
  | 'LOGIN'
  | 'SSH'
  | 'PACKAGE_MANAGER'
  | 'SETUID'
  | 'CAPABILITY'
  | 'ELF_UNLISTED'
  | 'UNLISTED'
  | 'MISSING'
  | 'SCRIPT'
  | 'LOGIN_SHELL'
  | 'WORLD_WRITABLE'
  | 'NOT_ROOTS'
  | 'ODD_KIND'
  | 'NOT_IN_SBOM'
  | 'NOT_IN_IMAGE';

export type Finding = {
  readonly code: FindingCode;
  readonly path: string;
  readonly sentence: string;
};

/** What an image may hold: path -> why it is there, from the pages of source. */
export type Allowed = ReadonlyMap<string, string>;

const SCRIPT_MARK = '#!';
const SETUID_OR_SETGID = 0o6000;
const WRITABLE_BY_ALL = 0o002;
const NO_SHELL = '/nonexistent';

/** Names are looked at beside contents and lists: a listed shell is a shell all the same. */
const NAMES: readonly (readonly [FindingCode, RegExp, string])[] = [
  ['SHELL', /^(?:r?bash|sh|[akz]sh|dash|mksh|fish|t?csh|nu|rc|es|elvish|xonsh|pwsh)$/u, 'a shell'],
  [
    'INTERPRETER',
    /^(?:python|perl|ruby|lua|luajit|php|tclsh|guile|gjs|qjs|node|deno|bun)[\d.]*$/u,
    'an interpreter that takes a script',
  ],
  ['INTERPRETER', /^(?:[mg]?awk|sed|expect)[\d.]*$/u, 'an interpreter that takes a script'],
  ['BUSYBOX', /^(?:busybox|toybox|sbase-box)(?:[-.].*)?$/u, 'many tools and a shell in one'],
  ['LOGIN', /^(?:login|su|sudo|doas|run0|[am]?getty|s?u?login|chsh|passwd-tool)$/u, 'a login'],
  ['SSH', /^(?:sshd?|dropbear|tinysshd|telnetd?|in\.telnetd|mosh-server)$/u, 'a remote login'],
  [
    'PACKAGE_MANAGER',
    /^(?:apt(?:-.*)?|dpkg(?:-.*)?|apk|rpm|dnf|yum|zypper|pacman|opkg|snap|flatpak)$/u,
    'a package manager',
  ],
  ['PACKAGE_MANAGER', /^(?:npm|npx|yarn|pnpm|pip[\d.]*)$/u, 'a package manager'],
];

/** All that is wrong in one image, each by name; an empty list is a pass. Nothing is let off. */
export function auditImage(found: readonly Found[], allowed: Allowed): Finding[] {
  const present = new Set(found.map((entry) => entry.path));
  const folders = new Set([...allowed.keys()].flatMap(parentsOf));
  const missing = [...allowed].filter(([path]) => !present.has(path));
  return [
    ...found.flatMap((entry) => auditEntry(entry, allowed, folders)),
    ...missing.map(([path, why]) => finding('MISSING', path, `It is not in the image (${why}).`)),
  ];
}

function auditEntry(entry: Found, allowed: Allowed, folders: ReadonlySet<string>): Finding[] {
  const { path, kind, mode, bytes } = entry;
  const isListed = allowed.has(path) || (kind === 'folder' && folders.has(path));
  const findings = kind === 'folder' ? [] : auditName(path);
  const add = (code: FindingCode, sentence: string): void => {
    findings.push(finding(code, path, sentence));
  };
  if (kind === 'other') add('ODD_KIND', 'It is neither file, folder nor link.');
  if (kind === 'file') auditContent(entry, isListed, add);
  if (!isListed && !(kind === 'file' && isElf(bytes))) add('UNLISTED', 'No page lists it.');
  if ((mode & SETUID_OR_SETGID) !== 0) add('SETUID', 'It runs as somebody else than its caller.');
  if (entry.attributeBytes > 0) add('CAPABILITY', 'It has attributes, as file capabilities are.');
  if (kind !== 'link' && (mode & WRITABLE_BY_ALL) !== 0) add('WORLD_WRITABLE', 'All may write it.');
  if (entry.uid !== 0 || entry.gid !== 0) add('NOT_ROOTS', 'It does not belong to root.');
  return findings;
}

type Add = (code: FindingCode, sentence: string) => void;

function auditContent({ path, bytes }: Found, isListed: boolean, add: Add): void {
  const isProgram = isElf(bytes);
  if (isProgram && !isListed) add('ELF_UNLISTED', 'A program or library without a reason.');
  if (isProgram && Buffer.from(bytes).includes('BusyBox v')) add('BUSYBOX', 'It is busybox.');
  if (Buffer.from(bytes.subarray(0, 2)).equals(Buffer.from(SCRIPT_MARK))) {
    add('SCRIPT', 'It starts with #!, so it is a script.');
  }
  if (path === '/etc/passwd') auditPasswd(bytes, add);
}

function auditPasswd(bytes: Uint8Array, add: Add): void {
  for (const line of textOf(bytes).split('\n').filter(Boolean)) {
    const [user = '', , , , , , shell = ''] = line.split(':');
    if (shell !== NO_SHELL)
      add('LOGIN_SHELL', `${user} has the login shell ${shell || '/bin/sh'}.`);
  }
}

function auditName(path: string): Finding[] {
  const name = path.split('/').at(-1) ?? '';
  return NAMES.filter(([, pattern]) => pattern.test(name)).map(([code, , what]) =>
    finding(code, path, `It is named like ${what}.`),
  );
}

/** The bill against the image: every program is billed with its hash, and nothing else is. */
export function auditBill(found: readonly Found[], billed: ReadonlyMap<string, string>): Finding[] {
  const programs = found.filter(
    ({ kind, path, bytes }) => kind === 'file' && isProgram(path, bytes),
  );
  const wrong = programs.filter(({ path, bytes }) => billed.get(path) !== sha256Hex(bytes));
  const present = new Set(found.map((entry) => entry.path));
  const absent = [...billed.keys()].filter((path) => !present.has(path));
  return [
    ...wrong.map(({ path }) =>
      finding('NOT_IN_SBOM', path, 'The bill does not have it with these bytes.'),
    ),
    ...absent.map((path) => finding('NOT_IN_IMAGE', path, 'It is billed and not there.')),
  ];
}

function isProgram(path: string, bytes: Uint8Array): boolean {
  return isElf(bytes) || path.endsWith('.ko.xz') || path.startsWith('/usr/lib/firmware/');
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return ['/', ...parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)];
}

function finding(code: FindingCode, path: string, sentence: string): Finding {
  return { code, path, sentence };
}
