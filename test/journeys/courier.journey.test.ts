import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { agentCapabilities, confinementHeader } from '../../image/node/confinement.ts';
import { run } from '../../src/host/exec.ts';
import { MiB, MINUTE_MS } from '../../src/lib/units.ts';
import { runInGuest } from '../support/guest/guest.ts';

// The released courier and PID 1, in a machine of their own.
const ROOT = join(import.meta.dirname, '../..');
const SUPPORT = join(ROOT, 'test/support/courier');
const NOTHING = '0000000000000000';

type Found = {
  readonly error?: string;
  readonly work: Record<string, unknown>;
  readonly status: Record<string, unknown>;
  readonly dies: Record<string, unknown>;
  readonly said: readonly string[];
  readonly tries: { readonly courier: readonly string[]; readonly agent: readonly string[] };
};

let found: Found;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-courier-'));
  try {
    await writeFile(join(folder, 'confinement.h'), confinementHeader());
    const tries = join(folder, 'tries');
    const flags = ['-static', '-Os', '-s', '-I', folder, '-o', tries];
    await run({ file: 'musl-gcc', args: [...flags, join(SUPPORT, 'tries.c')] });
    const script = join(SUPPORT, 'guest.ts');
    const wish = { root: ROOT, folder, script, files: { tries }, deadlineMs: 12 * MINUTE_MS };
    found = (await runInGuest({ ...wish, machine: { memoryMiB: 512 } })) as Found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 14 * MINUTE_MS);

test('requests, feeds and 64 MiB for a slow reader go through the courier, in bounded memory', () => {
  expect(found.error).toBeUndefined();
  const { work } = found;
  expect(work['posted']).toBe(`POST ${String(work['expected'])}`);
  expect(work).toMatchObject({ first: 'one\n', bytes: 64 * MiB });
  expect(work['failed']).toContain('HTTP_UNREACHABLE');
  expect(work['mostKib']).toBeLessThan(64 * 1024);
});

test('the courier is nobody, may nothing, and sees its program and no disk', () => {
  expect(found.status).toMatchObject({
    uid: '64321 64321 64321 64321',
    gid: '64321 64321 64321 64321',
    capabilities: Array.from({ length: 5 }, () => NOTHING),
    noNewPrivs: '1',
    seccomp: '2',
    sees: [
      '/etc/dhcpcd.conf',
      '/etc/group',
      '/etc/hosts',
      '/etc/mtab',
      '/etc/nsswitch.conf',
      '/etc/passwd',
      '/etc/resolv.conf',
      '/etc/zos',
      '/lib64/ld-linux-x86-64.so.2',
      '/usr/lib',
    ],
    mounts: [
      '/ / ro,nosuid,nodev,noexec,relatime',
      '/usr/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu ro,nosuid,nodev,relatime',
      '/lib64 /lib64 ro,nosuid,nodev,relatime',
      '/etc /etc ro,nosuid,nodev,noexec,relatime',
    ],
    cgroup: '0::/zos/courier',
  });
});

test('a courier that dies or hangs is followed by another, and what it was at is told', () => {
  expect(found.dies).toEqual({
    lost: 'HTTP_BROKEN_OFF',
    after: 200,
    isOther: true,
    isBack: true,
    last: 200,
  });
  expect(found.said).toContain('The courier is gone. (SIGKILL)');
  expect(found.said).toContain('The courier does not answer. (SIGKILL)');
});

test('whoever breaks into the courier is refused everything but going out, by 64 and 32 bits', () => {
  expect(found.tries.courier).toEqual([
    'try read the data disk: ENOENT',
    'try read its own /proc: ENOENT',
    "try read the agent's folder: ENOENT",
    'try open a disk: ENOENT',
    'try write a setting: EPERM',
    'try make a file: EPERM',
    'try make a file in memory: ENOSYS',
    'try a local socket: EPERM',
    'try a route socket: EPERM',
    'try a packet socket: EPERM',
    'try a crypto socket: EPERM',
    'try a raw socket: EPERM',
    'try a TCP socket: done',
    'try listen: ENOSYS',
    'try bind: ENOSYS',
    'try accept: ENOSYS',
    'try a process: ENOSYS',
    'try a process by clone: EPERM',
    'try a program: ENOSYS',
    'try the first program again: EBADF',
    'try its number: EINVAL',
    'try another user: ENOSYS',
    'try more files: EPERM',
    'try a signal to PID 1: ENOSYS',
    "try a thread's signal to PID 1: EPERM",
    'try a mount: ENOSYS',
    'try a namespace: ENOSYS',
    'try ptrace: ENOSYS',
    'try bpf: ENOSYS',
    'try io_uring: ENOSYS',
    'try userfaultfd: ENOSYS',
    'try a keyring: ENOSYS',
    'try a module: ENOSYS',
    'try a restart: ENOSYS',
    // Of all calls, those exist for it that image/node/confinement.ts lists with a reason.
    'all calls tried',
    'ended: SIGSYS',
  ]);
});

test('the agent, its tools and containers are refused what image/node/confinement.ts names', () => {
  const lines = found.tries.agent;
  expect(lines.filter((line) => line.startsWith('call '))).toEqual([]);
  expect(lines.some((line) => line.startsWith('all refused calls tried: '))).toBe(true);
  const bounding = agentCapabilities().toString(16).padStart(16, '0');
  expect(lines).toContain(`status CapBnd:\t${bounding}`);
  expect(lines).toContain(`status CapEff:\t${bounding}`);
  expect(lines).toContain('status NoNewPrivs:\t1');
  expect(lines).toContain('status Seccomp:\t2');
  expect(lines).toContain('core 0');
  expect(lines).toContain('zos: init agent ended: signal 31');
});
