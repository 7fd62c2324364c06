import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const NEEDED = ['package.json', 'package-lock.json', '.npmrc', 'boot/setup.mjs'];

type Ended = { readonly status: number | null; readonly printed: string };

/** Runs set-up where mounts are its own, after the shell commands that spoil the machine for it. */
function setUp(root: string, spoil: string, ...wrapped: readonly string[]): Ended {
  const command = `${spoil}\nexec ${wrapped.join(' ')} node ${join(root, 'boot/setup.mjs')}`;
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-ec', command], {
    encoding: 'utf8',
    // A home of its own: what npm keeps of other runs is no network.
    env: { PATH: process.env['PATH'] ?? '', HOME: root, npm_config_fetch_retries: '0' },
  });
  return { status, printed: `${stdout}${stderr}`.trim() };
}

test('the second run of set-up finds nothing to do and says nothing', () => {
  expect(setUp(ROOT, '')).toEqual({ status: 0, printed: '' });
});

test('set-up on another system ends with a sentence', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-setup-'));
  const release = join(folder.path, 'os-release');
  writeFileSync(release, 'ID=fedora\nID_LIKE="rhel"\n');
  expect(setUp(ROOT, `mount --bind ${release} "$(readlink -f /etc/os-release)"`)).toEqual({
    status: 1,
    printed: 'Zero-OS is built on Debian or Ubuntu on x86-64; run this on such a machine.',
  });
});

test('set-up on a full disk ends with a sentence that names it', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-setup-'));
  const root = folder.path;
  const copy = NEEDED.map((path) => `install -D ${join(ROOT, path)} ${join(root, path)}`);
  const spoil = [`mount -t tmpfs -o size=64m none ${root}`, ...copy].join('\n');
  expect(setUp(root, spoil)).toEqual({
    status: 1,
    printed: `Only 0.1 GiB are free on the disk of ${root}; make room for 4 GiB.`,
  });
});

test('set-up that needs root and has none ends with a sentence that names the packages', () => {
  const spoil = [
    'mount --bind /dev/null /var/lib/dpkg/status',
    'if [ -e /usr/bin/sudo ]; then mount --bind /dev/null /usr/bin/sudo; fi',
  ].join('\n');
  // Somebody without rights, but to read the repository wherever it is.
  const read = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...read];
  const { status, printed } = setUp(ROOT, spoil, ...nobody);
  expect(status).toBe(1);
  expect(printed).toMatch(/^Installing binutils, .* needs root; run the same command as root\.$/u);
});

test('set-up without a network ends with a sentence', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'zos-setup-'));
  mkdirSync(join(folder.path, 'boot'));
  for (const path of NEEDED) cpSync(join(ROOT, path), join(folder.path, path));
  const { status, printed } = setUp(folder.path, '', 'unshare', '-n', '--');
  expect(status).toBe(1);
  expect(printed).toContain('set-up: npm packages, by the lock file\n');
  expect(printed.split('\n').at(-1)).toBe(
    'npm could not install its packages; check the network, then run the same command.',
  );
}, 300_000);
