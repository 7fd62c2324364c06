import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KERNEL_ARGUMENTS } from '../../../src/artifact/command-line.ts';
import { run } from '../../../src/host/exec.ts';
import { startQemu } from '../../../src/host/lab/qemu.ts';
import { concatBytes, utf8 } from '../../../src/lib/bytes.ts';
import { readCpio, writeCpio } from '../../../src/lib/cpio.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';

// The released kernel with the arguments that every machine of ours gets, and three modules: one
// out of the release, the same without its signature, and the same with a stranger's.
const ROOT = join(import.meta.dirname, '../../..');
const MARK = utf8('~Module signature appended~\n');
/** `struct module_signature` of the kernel's include/linux/module_signature.h. */
const TRAILER_BYTES = 12;
const PKCS7 = 2;

let folder: string;
const lines: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zos-modules-'));
  const ours = await releasedModule();
  const bare = withoutSignature(ours);
  const foreign = concatBytes(bare, await foreignSignature(bare));
  const kernel = new Uint8Array(await readFile(join(ROOT, 'dist/release/vmlinuz')));
  const changed = kernel.map((byte, at) => (at === kernel.length >> 1 ? byte ^ 1 : byte));
  const init = join(folder, 'init');
  const source = join(ROOT, 'test/support/guest/modules.c');
  await run({ file: 'musl-gcc', args: ['-static', '-Os', '-s', '-o', init, source] });
  const initrdPath = join(folder, 'initrd.cpio');
  const archive = writeCpio([
    { path: 'init', kind: 'file', bytes: await readFile(init), isExecutable: true },
    { path: 'try', kind: 'folder' },
    { path: 'try/ours.ko', kind: 'file', bytes: ours },
    { path: 'try/unsigned.ko', kind: 'file', bytes: bare },
    { path: 'try/foreign.ko', kind: 'file', bytes: foreign },
    { path: 'try/changed-kernel', kind: 'file', bytes: changed },
  ]);
  await writeFile(initrdPath, archive);
  await using machine = startQemu({
    accelerator: 'tcg',
    memoryMiB: 512,
    processors: 1,
    cards: [],
    diskPaths: [],
    kernel: {
      path: join(ROOT, 'dist/release/vmlinuz'),
      initrdPath,
      append: [...KERNEL_ARGUMENTS, 'console=ttyS0,115200'].join(' '),
    },
    endsOnReset: true,
    onLine: (line) => lines.push(line),
  });
  await machine.ended;
}, 5 * MINUTE_MS);

afterAll(() => rm(folder, { recursive: true, force: true }));

const text = (): string => lines.join('\n');

test('a module of the release is loaded: what is refused is refused for its signature', () => {
  expect(text()).toContain('module ours: loaded');
});

test('an unsigned kernel module is refused, in the kernel’s own words', () => {
  expect(text()).toMatch(/module unsigned: (?:Required key not available|Key was rejected)/u);
  expect(text()).toMatch(/kernel .*unsigned module.* is rejected|kernel Lockdown: .*unsigned mod/u);
});

test('a kernel module signed by a stranger is refused, in the kernel’s own words', () => {
  expect(text()).toMatch(/module foreign: (?:Required key not available|Key was rejected)/u);
  expect(text()).toMatch(/kernel .*module with unavailable key is rejected/u);
});

test('a kernel with one bit changed is not gone to, in the kernel’s own words', () => {
  expect(text()).toMatch(/kernel changed-kernel: (?:Key was rejected|Bad message|Operation not)/u);
  expect(text()).toContain('kexec of unsigned images is restricted');
});

/** The first of those that the first stage brings, unpacked. */
async function releasedModule(): Promise<Uint8Array> {
  const members = readCpio(await readFile(join(ROOT, 'dist/release/initramfs.cpio')));
  const packed = members.find(({ path }) => path === 'modules/crc32c_generic.ko.xz');
  const path = join(folder, 'module.ko.xz');
  await writeFile(path, packed?.bytes ?? new Uint8Array());
  await run({ file: 'xz', args: ['--decompress', '--keep', path] });
  return new Uint8Array(await readFile(join(folder, 'module.ko')));
}

function withoutSignature(module: Uint8Array): Uint8Array {
  const marked = Buffer.from(module);
  expect(marked.subarray(-MARK.length).equals(MARK)).toBe(true);
  const trailerAt = marked.length - MARK.length - TRAILER_BYTES;
  return module.subarray(0, trailerAt - marked.readUInt32BE(trailerAt + 8));
}

/** What the kernel's scripts/sign-file.c would append, by a key that no kernel knows. */
async function foreignSignature(module: Uint8Array): Promise<Uint8Array> {
  const at = (name: string): string => join(folder, name);
  await writeFile(at('bare.ko'), module);
  const subject = ['-subj', '/CN=Stranger', '-days', '2', '-keyout', at('key'), '-out', at('crt')];
  await run({
    file: 'openssl',
    args: ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject],
  });
  const signer = ['-signer', at('crt'), '-inkey', at('key'), '-in', at('bare.ko')];
  const form = ['-sign', '-binary', '-noattr', '-nocerts', '-md', 'sha256', '-outform', 'DER'];
  await run({ file: 'openssl', args: ['cms', ...form, ...signer, '-out', at('signature')] });
  const signature = await readFile(at('signature'));
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer[2] = PKCS7;
  trailer.writeUInt32BE(signature.length, 8);
  return concatBytes(signature, trailer, MARK);
}
