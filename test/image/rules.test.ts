import { expect, test } from 'vitest';
import { auditBill, auditImage, type Found } from '../../image/audit/rules.ts';
import { sha256Hex, utf8 } from '../../src/lib/bytes.ts';

const ELF = new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
const ALLOWED = new Map([
  ['/usr/bin/ip', 'links'],
  ['/etc/passwd', 'names'],
]);
const PASSWD = 'root:x:0:0:root:/:/nonexistent\n';

const GOOD: readonly Found[] = [
  folder('/'),
  folder('/etc'),
  folder('/usr'),
  folder('/usr/bin'),
  file('/usr/bin/ip', { bytes: ELF, mode: 0o755 }),
  file('/etc/passwd', { bytes: utf8(PASSWD) }),
];

function file(path: string, more: Partial<Found> = {}): Found {
  const bytes = utf8('text');
  return { path, kind: 'file', mode: 0o644, uid: 0, gid: 0, attributeBytes: 0, bytes, ...more };
}

function folder(path: string): Found {
  return file(path, { kind: 'folder', mode: 0o755, bytes: new Uint8Array() });
}

function findings(...planted: readonly Found[]): string[] {
  const paths = new Set(planted.map(({ path }) => path));
  const found = [...GOOD.filter(({ path }) => !paths.has(path)), ...planted];
  return auditImage(found, ALLOWED).map(({ code, path }) => `${code} ${path}`);
}

test('an image with what is listed and nothing else passes', () => {
  expect(findings()).toEqual([]);
});

test.for([
  ['a shell', file('/bin/sh', { bytes: ELF, mode: 0o755 }), ['SHELL', 'ELF_UNLISTED']],
  [
    'a link to one',
    file('/bin/bash', { kind: 'link', mode: 0o777, bytes: utf8('') }),
    ['SHELL', 'UNLISTED'],
  ],
  ['an interpreter', file('/usr/bin/python3.13', { bytes: ELF }), ['INTERPRETER', 'ELF_UNLISTED']],
  ['Node itself', file('/usr/bin/node', { bytes: ELF }), ['INTERPRETER', 'ELF_UNLISTED']],
  ['busybox', file('/usr/bin/busybox', { bytes: ELF }), ['BUSYBOX', 'ELF_UNLISTED']],
  ['a getty', file('/sbin/agetty', { bytes: ELF }), ['LOGIN', 'ELF_UNLISTED']],
  ['a login', file('/usr/bin/sudo', { bytes: ELF }), ['LOGIN', 'ELF_UNLISTED']],
  ['sshd', file('/usr/sbin/sshd', { bytes: ELF }), ['SSH', 'ELF_UNLISTED']],
  ['apt', file('/usr/bin/apt-get', { bytes: ELF }), ['PACKAGE_MANAGER', 'ELF_UNLISTED']],
  ['a program by any name', file('/usr/lib/x', { bytes: ELF }), ['ELF_UNLISTED']],
  ['a file without a reason', file('/etc/motd'), ['UNLISTED']],
  ['a script', file('/etc/setup', { bytes: utf8('#!/x') }), ['SCRIPT', 'UNLISTED']],
  ['a device', file('/dev/kmem', { kind: 'other' }), ['ODD_KIND', 'UNLISTED']],
] as const)('%s is found', ([, planted, codes]) => {
  expect(findings(planted)).toEqual(codes.map((code) => `${code} ${planted.path}`));
});

test.for([
  ['setuid', { mode: 0o4755 }, 'SETUID'],
  ['setgid', { mode: 0o2755 }, 'SETUID'],
  ['a file capability', { attributeBytes: 36 }, 'CAPABILITY'],
  ['writable by all', { mode: 0o757 }, 'WORLD_WRITABLE'],
  ['owned by somebody', { uid: 1000 }, 'NOT_ROOTS'],
  ['busybox under its name', { bytes: Buffer.concat([ELF, utf8('BusyBox v1.37')]) }, 'BUSYBOX'],
  ['a script in its place', { bytes: utf8('#!/usr/bin/env x') }, 'SCRIPT'],
] as const)('a listed program that is %s is found', ([, change, code]) => {
  const planted = file('/usr/bin/ip', { bytes: ELF, mode: 0o755, ...change });
  expect(findings(planted)).toEqual([`${code} /usr/bin/ip`]);
});

test.for(['/bin/bash', '/usr/sbin/nologin', ''])('the login shell "%s" is found', (shell) => {
  const bytes = utf8(`${PASSWD}eve:x:1:1::/:${shell}\n`);
  expect(findings(file('/etc/passwd', { bytes }))).toEqual(['LOGIN_SHELL /etc/passwd']);
});

test('what is listed and not there is found', () => {
  const found = GOOD.filter(({ path }) => path !== '/usr/bin/ip');
  const codes = auditImage(found, ALLOWED).map(({ code, path }) => `${code} ${path}`);
  expect(codes).toEqual(['MISSING /usr/bin/ip']);
});

test('the bill has every program with its bytes, and nothing else', () => {
  const right = new Map([['/usr/bin/ip', sha256Hex(ELF)]]);
  expect(auditBill(GOOD, right)).toEqual([]);
  const codes = (billed: ReadonlyMap<string, string>): string[] =>
    auditBill(GOOD, billed).map(({ code, path }) => `${code} ${path}`);
  expect(codes(new Map([['/usr/bin/ip', sha256Hex(utf8('other'))]]))).toEqual([
    'NOT_IN_SBOM /usr/bin/ip',
  ]);
  expect(codes(new Map([...right, ['/usr/bin/wg', 'x']]))).toEqual(['NOT_IN_IMAGE /usr/bin/wg']);
});
