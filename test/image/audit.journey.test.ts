import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowedIn } from '../../image/audit/allowed.ts';
import { openErofs } from '../../image/audit/open.ts';
import { auditImage } from '../../image/audit/rules.ts';
import { auditRelease } from '../../image/audit.ts';
import { packageFolders } from '../../image/debian/packages.ts';
import { readPins } from '../../image/debian/pins.ts';
import { type KernelModules, readKernelModules } from '../../image/parts/module-set.ts';
import { type Folders, runPinned } from '../../image/parts/pinned-tools.ts';
import { imagePaths } from '../../image/paths.ts';

// The image that was built is unpacked, one bad thing is planted in it, and it is packed and
// audited again: as the audit would see it if the build had let that thing in.
const paths = imagePaths();
let scratch: string;
let tree: string;
let folders: Folders;
let kernel: KernelModules;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'zos-audit-'));
  tree = join(scratch, 'tree');
  const pins = await readPins();
  folders = packageFolders(pins, join(paths.work, 'packages'));
  kernel = await readKernelModules({ folders, kernel: pins.kernel });
  const image = join(paths.release, 'system.erofs');
  await runPinned({
    folders,
    package: 'erofs-utils',
    path: 'usr/bin/fsck.erofs',
    args: [`--extract=${tree}`, '--no-preserve-owner', '--preserve-perms', image],
  });
});

afterAll(async () => rm(scratch, { recursive: true, force: true }));

/** Packs the tree with what `plant` does to it, and takes that out again. */
async function auditWith(path: string, plant: (file: string) => Promise<void>): Promise<string[]> {
  const file = join(tree, path);
  const kept = join(scratch, 'kept');
  await copyFile(file, kept).catch(() => undefined);
  await plant(file);
  const image = join(scratch, 'planted.erofs');
  const args = ['--all-root', '-x-1', '-T0', '--quiet', image, tree];
  await runPinned({ folders, package: 'erofs-utils', path: 'usr/bin/mkfs.erofs', args });
  await rm(file);
  await copyFile(kept, file).then(
    async () => rm(kept),
    () => undefined,
  );
  const found = await openErofs({ folders, image, scratch });
  return auditImage(found, allowedIn('second', kernel)).map(
    ({ code, path: at }) => `${code} ${at}`,
  );
}

test('the image that was built passes, with its bill', async () => {
  const audits = await auditRelease(paths);
  expect(audits.flatMap(({ findings }) => findings)).toEqual([]);
  expect(audits.map(({ image }) => image)).toEqual([
    'initramfs.cpio',
    'first.erofs',
    'system.erofs',
    'sbom.spdx.json',
  ]);
});

test('a shell in the image is found by name', async () => {
  const shell = join(folders.get('busybox-static') ?? '', 'usr/bin/busybox');
  const findings = await auditWith('/usr/bin/sh', async (file) => copyFile(shell, file));
  expect(findings).toEqual([
    'SHELL /usr/bin/sh',
    'ELF_UNLISTED /usr/bin/sh',
    'BUSYBOX /usr/bin/sh',
  ]);
});

test('a setuid bit in the image is found by name', async () => {
  const findings = await auditWith('/usr/bin/mount', async (file) => chmod(file, 0o4755));
  expect(findings).toEqual(['SETUID /usr/bin/mount']);
});

test('a script in the image is found by name', async () => {
  const findings = await auditWith('/etc/setup', async (file) =>
    writeFile(file, '#!/usr/bin/ip\n'),
  );
  expect(findings).toEqual(['SCRIPT /etc/setup', 'UNLISTED /etc/setup']);
});

test('a login shell in passwd is found by name', async () => {
  const findings = await auditWith('/etc/passwd', async (file) =>
    writeFile(file, 'root:x:0:0:root:/:/bin/sh\n'),
  );
  expect(findings).toEqual(['LOGIN_SHELL /etc/passwd']);
});

test('a file that all may write is found by name', async () => {
  const findings = await auditWith('/etc/hosts', async (file) => chmod(file, 0o666));
  expect(findings).toEqual(['WORLD_WRITABLE /etc/hosts']);
});

test('a file capability in the image is found by name', async () => {
  // mkfs.erofs takes attributes from an archive as well: no right to set one is needed here.
  const folder = join(scratch, 'capability');
  await mkdir(folder);
  const archive = join(folder, 'image.tar');
  await writeFile(archive, archiveWithCapability('usr/bin/ip'));
  const image = join(folder, 'image.erofs');
  const args = ['--tar=f', '--all-root', '-T0', '--quiet', image, archive];
  await runPinned({ folders, package: 'erofs-utils', path: 'usr/bin/mkfs.erofs', args });
  const found = await openErofs({ folders, image, scratch });
  const allowed = new Map([['/usr/bin/ip', 'links']]);
  // An archive says nothing of the folders around the file: they are not what is looked at here.
  const findings = auditImage(found, allowed).filter(({ path }) => path === '/usr/bin/ip');
  expect(findings.map(({ code }) => code)).toEqual(['CAPABILITY']);
});

/** A pax archive (POSIX.1-2001) of one empty file that has cap_net_admin. */
function archiveWithCapability(name: string): Buffer {
  const capability = Buffer.from('0100000200100000000000000000000000000000', 'hex');
  const label = ' SCHILY.xattr.security.capability=';
  const length = label.length + capability.length + 1 + 2;
  const extra = Buffer.concat([Buffer.from(`${length}${label}`), capability, Buffer.from('\n')]);
  return Buffer.concat([
    tarHead('extra', 'x', extra.length),
    extra,
    Buffer.alloc(512 - extra.length),
    tarHead(name, '0', 0),
    Buffer.alloc(1024),
  ]);
}

function tarHead(name: string, kind: string, lengthBytes: number): Buffer {
  const head = Buffer.alloc(512);
  head.write(name, 0);
  head.write('0000755\x000000000\x000000000\x00', 100);
  head.write(`${lengthBytes.toString(8).padStart(11, '0')}\0`, 124);
  head.write('00000000000\0', 136);
  head.write('        ', 148);
  head.write(kind, 156);
  head.write('ustar\x0000', 257);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return head;
}
