import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digestOf, hostsFile, MOUNT_POINTS, ociConfig } from '../../src/container/oci.ts';
import { containerSpecOf } from '../../src/container/plan.ts';
import { SECCOMP_PROFILE } from '../../src/container/seccomp.ts';
import type { Container } from '../../src/container/spec.ts';
import { MiB } from '../../src/lib/units.ts';

const CONTRACT = 'c0ffee'.padEnd(64, '0');
const WEB: Container = {
  kind: 'container',
  name: 'web',
  image: { sha256: 'ab'.repeat(32), lengthBytes: 4096, sources: ['http://10.0.0.1/web.erofs'] },
  args: ['/bin/httpd', '-f'],
  env: { GREETING: 'hello' },
  secrets: [],
  uid: 1000,
  cpuMillis: 250,
  memoryBytes: 32 * MiB,
  pidsMax: 16,
  znet: 'net',
  hosts: [{ name: 'db', address: 'fd00::5' }],
};

function specOf(container: Container): ReturnType<typeof containerSpecOf> {
  const attachment =
    container.znet === null ? null : { netns: 'zn-5e', address: 'fd5e::8001', mtuBytes: 1420 };
  const rootPath = '/run/zos/images/mnt/ab';
  return containerSpecOf({ contract: CONTRACT, container, rootPath, attachment, secrets: [] });
}

const GROUND = {
  bundlePath: '/run/zos/containers/c0ffee-web',
  mountPoints: new Set<string>(MOUNT_POINTS),
};

type Config = {
  root: { path: string; readonly: boolean };
  process: {
    user: { uid: number; gid: number };
    noNewPrivileges: boolean;
    capabilities: Record<string, string[]>;
    env: string[];
  };
  mounts: { destination: string; options: string[] }[];
  linux: {
    namespaces: { type: string }[];
    uidMappings: { containerID: number; hostID: number; size: number }[];
    resources: { memory: { limit: number; swap: number }; cpu: { quota: number; period: number } };
  };
};

function configOf(container: Container, ground = GROUND): Config {
  return ociConfig(specOf(container), ground) as unknown as Config;
}

test('the sample container is told to crun like this', async () => {
  const { linux, ...rest } = ociConfig(specOf(WEB), GROUND);
  const { seccomp: _profile, ...limits } = linux as Record<string, unknown>;
  const text = `${JSON.stringify({ ...rest, linux: limits }, null, 2)}\n`;
  await expect(text).toMatchFileSnapshot('../golden/container/web.json');
});

const anyContainer = fc.record({
  name: fc.constantFrom('web', 'db', 'a'),
  uid: fc.integer({ min: 1, max: 65_534 }),
  cpuMillis: fc.integer({ min: 10, max: 256_000 }),
  memoryBytes: fc.integer({ min: 8 * MiB, max: 4096 * 1024 * MiB }),
  env: fc.dictionary(fc.constantFrom('A', 'PATH', 'LD_PRELOAD'), fc.string()),
});

test('no container, however it is asked for, gets more than the least', () => {
  fc.assert(
    fc.property(anyContainer, (wish) => {
      const { root, process, mounts, linux } = configOf({ ...WEB, ...wish });
      expect(root.readonly).toBe(true);
      expect(process.noNewPrivileges).toBe(true);
      expect(Object.values(process.capabilities).flat()).toEqual([]);
      expect(process.user.uid).toBeGreaterThan(0);
      for (const type of ['pid', 'mount', 'network', 'user', 'ipc', 'uts', 'cgroup']) {
        expect(linux.namespaces).toContainEqual({ type });
      }
      for (const { options } of mounts) expect(options).toContain('nosuid');
      expect(linux.resources.memory.swap).toBe(linux.resources.memory.limit);
      const { quota, period } = linux.resources.cpu;
      expect(quota / period).toBeCloseTo(wish.cpuMillis / 1000, 6);
    }),
  );
});

test('its users are nobody on the machine, and not the same nobody for every container', () => {
  const starts = ['web', 'db', 'a'].map((name) => {
    const [mapping] = configOf({ ...WEB, name }).linux.uidMappings;
    expect(mapping?.containerID).toBe(0);
    expect(mapping?.hostID).toBeGreaterThanOrEqual(65_536);
    expect((mapping?.hostID ?? 0) + (mapping?.size ?? 0)).toBeLessThan(2 ** 32 - 1);
    return mapping?.hostID;
  });
  expect(new Set(starts).size).toBe(3);
});

test('nothing is mounted where the image has no place for it', () => {
  const bare = configOf(WEB, { ...GROUND, mountPoints: new Set(['/proc', '/dev']) });
  expect(bare.mounts.map(({ destination }) => destination)).toEqual([
    '/proc',
    '/dev',
    '/dev/pts',
    '/dev/shm',
  ]);
});

test('the names of the deployment, and its own, are in its hosts file', () => {
  const lines = hostsFile(specOf(WEB)).trim().split('\n');
  expect(lines.slice(0, 2)).toEqual(['127.0.0.1 localhost', '::1 localhost']);
  expect(lines[2]).toBe('fd5e::8001 web');
  expect(lines[3]).toBe('fd00::5 db');
  expect(hostsFile(specOf({ ...WEB, znet: null }))).not.toContain(' web');
});

test('another wish has another digest, the same one the same', () => {
  expect(digestOf(specOf(WEB))).toBe(digestOf(specOf(structuredClone(WEB))));
  expect(digestOf(specOf({ ...WEB, pidsMax: 17 }))).not.toBe(digestOf(specOf(WEB)));
});

test.each(
  `mount umount2 unshare setns pivot_root chroot clone3 bpf init_module finit_module kexec_load
   kexec_file_load io_uring_setup userfaultfd perf_event_open ptrace process_vm_readv keyctl add_key
   open_by_handle_at swapon reboot settimeofday clock_settime iopl ioperm quotactl`.split(/\s+/u),
)('%s does not exist in a container', (name) => {
  expect(SECCOMP_PROFILE.syscalls.flatMap(({ names }) => names)).not.toContain(name);
});

test('sockets are local, IP, or ask for routes; none reaches the kernel’s cryptography', () => {
  const families = SECCOMP_PROFILE.syscalls
    .filter(({ names }) => names.includes('socket'))
    .map(({ args }) => args?.[0]);
  expect(families.map((arg) => arg?.value)).toEqual([1, 2, 10, 16]);
  expect(families.every((arg) => arg?.index === 0 && arg.op === 'SCMP_CMP_EQ')).toBe(true);
});

test('a thread can be made, a namespace can not', () => {
  const [rule, ...others] = SECCOMP_PROFILE.syscalls.filter(({ names }) => names.includes('clone'));
  const CLONE_NEW = [
    0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
  ];
  expect(others).toEqual([]);
  const [arg] = rule?.args ?? [];
  expect(arg).toMatchObject({ index: 0, op: 'SCMP_CMP_MASKED_EQ', valueTwo: 0 });
  for (const flag of CLONE_NEW) expect((arg?.value ?? 0) & flag).toBe(flag);
});

test('a volume is mapped to the container’s ids, and a raw one is the one device that it may open', () => {
  const mounts = [
    { source: '/run/zos/volumes/c0ffee-data', path: '/run/data', kind: 'folder' },
    { source: '/dev/mapper/zos-c0ffee-log', path: '/dev/log0', kind: 'device' },
  ] as const;
  const plain = ociConfig(specOf(WEB), GROUND) as Config;
  const devices = [{ major: 253, minor: 3 }];
  const config = ociConfig({ ...specOf(WEB), mounts }, { ...GROUND, devices }) as Config;
  expect(config.mounts.slice(plain.mounts.length)).toEqual([
    {
      destination: '/run/data',
      type: 'bind',
      source: '/run/zos/volumes/c0ffee-data',
      options: ['bind', 'nosuid', 'nodev', 'idmap'],
    },
    {
      destination: '/dev/log0',
      type: 'bind',
      source: '/dev/mapper/zos-c0ffee-log',
      options: ['bind', 'nosuid'],
    },
  ]);
  expect(config.linux.resources).toMatchObject({
    devices: [
      { allow: false, access: 'rwm' },
      { allow: true, type: 'b', major: 253, minor: 3, access: 'rw' },
    ],
  });
  expect(plain.linux.resources).not.toHaveProperty('devices');
});
