import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { KiB } from '../lib/units.ts';
import { SECCOMP_PROFILE } from './seccomp.ts';
import type { ContainerSpec, VolumeMount } from './plan.ts';

/** What the bundle's maker knows beside the wish. */
export type Ground = {
  /** The bundle's folder. */
  readonly bundlePath: string;
  /** Paths in the image at which something can be mounted: it is read-only, none can be made. */
  readonly mountPoints: ReadonlySet<string>;
  /** The folder that holds the container's secret files while it is made. */
  readonly secretsPath?: string | null;
  /** The numbers of the block devices among its mounts. */
  readonly devices?: readonly DeviceNumber[];
};

/** By which the kernel knows a device. */
export type DeviceNumber = { readonly major: number; readonly minor: number };

/** Where a container finds its secret files; its image has to have a `/run` for it. */
export const SECRETS_PATH = '/run/secrets';

/** Paths that are mounted over where the image has them. */
export const MOUNT_POINTS = [
  '/proc',
  '/dev',
  '/sys',
  '/tmp',
  '/run',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
] as const;

/** Without these no program runs. */
export const MOUNT_POINTS_NEEDED = ['/proc', '/dev'] as const;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const CPU_PERIOD_US = 100_000;
const IDS_PER_CONTAINER = 65_536;

/** The annotations by which a container is found again from crun's own state. */
export const ANNOTATION = { id: 'zos.id', digest: 'zos.digest' } as const;

/** Names the wish: a container with another digest is another container. */
export function digestOf(spec: ContainerSpec): string {
  return sha256Hex(utf8(JSON.stringify(spec)));
}

/** The digests of specs, each made once: the loop compares the same ones again and again. */
export function openDigests(): { readonly get: (spec: ContainerSpec) => string } {
  const known = new WeakMap<ContainerSpec, string>();
  return {
    get: (spec) => {
      const digest = known.get(spec) ?? digestOf(spec);
      known.set(spec, digest);
      return digest;
    },
  };
}

/**
 * The container in the words of the OCI runtime specification 1.0.2. Its users are users of no
 * machine (a user namespace of its own), it has no capability and can't gain one, its root is
 * read-only, and what it writes is memory that counts against its limit. Secrets stand in it only
 * where they are given, which is never in what is written down.
 */
export function ociConfig(
  spec: ContainerSpec,
  ground: Ground,
  secretVariables: readonly string[] = [],
): Record<string, unknown> {
  const { container } = spec;
  const firstId = firstIdOf(spec.id);
  return {
    ociVersion: '1.0.2',
    hostname: container.name,
    annotations: { [ANNOTATION.id]: spec.id, [ANNOTATION.digest]: digestOf(spec) },
    root: { path: spec.rootPath, readonly: true },
    process: {
      terminal: false,
      user: { uid: container.uid, gid: container.uid, umask: 0o022 },
      args: container.args,
      env: [...envOf(spec), ...secretVariables],
      cwd: '/',
      noNewPrivileges: true,
      capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
      oomScoreAdj: 500,
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 1024, hard: 65_536 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ],
    },
    mounts: mountsOf(spec, ground),
    linux: {
      uidMappings: [{ containerID: 0, hostID: firstId, size: IDS_PER_CONTAINER }],
      gidMappings: [{ containerID: 0, hostID: firstId, size: IDS_PER_CONTAINER }],
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network', 'user', 'cgroup'].map((type) => ({
        type,
      })),
      // In its own network every port is its own: no capability is needed for the low ones.
      sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0' },
      cgroupsPath: `/zos/containers/${spec.id}`,
      resources: resourcesOf(spec, ground),
      seccomp: SECCOMP_PROFILE,
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
  };
}

/** The lines of its `/etc/hosts`. */
export function hostsFile(spec: ContainerSpec): string {
  const own = spec.attachment === null ? [] : [`${spec.attachment.address} ${spec.container.name}`];
  const others = spec.container.hosts.map(({ name, address }) => `${address} ${name}`);
  return `${['127.0.0.1 localhost', '::1 localhost', ...own, ...others].join('\n')}\n`;
}

const MASKED_PATHS = [
  'acpi asound interrupts kcore key-users keys latency_stats sched_debug scsi',
  'sysrq-trigger timer_list timer_stats',
].flatMap((line) => line.split(' ').map((name) => `/proc/${name}`));
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys'];

function envOf(spec: ContainerSpec): string[] {
  const env = { PATH, HOME: '/tmp', HOSTNAME: spec.container.name, ...spec.container.env };
  return Object.entries(env).map(([name, value]) => `${name}=${value}`);
}

/** Nobody else's ids: 2^16 of them from one of 65,000 starts, none of the machine's own. */
export function firstIdOf(id: string): number {
  const start = Number.parseInt(sha256Hex(utf8(`zos-ids\n${id}`)).slice(0, 8), 16) % 65_000;
  return (start + 1) * IDS_PER_CONTAINER;
}

function resourcesOf({ container }: ContainerSpec, ground: Ground): Record<string, unknown> {
  const { devices = [] } = ground;
  const given = devices.map((device) => ({ allow: true, type: 'b', ...device, access: 'rw' }));
  return {
    ...(given.length === 0 ? {} : { devices: [{ allow: false, access: 'rwm' }, ...given] }),
    // Both alike: memory and no swap beside it.
    memory: { limit: container.memoryBytes, swap: container.memoryBytes },
    cpu: { quota: (container.cpuMillis * CPU_PERIOD_US) / 1000, period: CPU_PERIOD_US },
    pids: { limit: container.pidsMax },
    // Out of memory ends the container as a whole, never a part of it.
    unified: { 'memory.oom.group': '1' },
  };
}

type OciMount = {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
};

function mountsOf(spec: ContainerSpec, ground: Ground): OciMount[] {
  const strict = ['nosuid', 'noexec', 'nodev'];
  const memory = (
    destination: string,
    lengthBytes: number,
    options: readonly string[],
  ): OciMount => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: [...options, `size=${lengthBytes}`],
  });
  const file = (destination: string, name: string): OciMount => ({
    destination,
    type: 'bind',
    source: `${ground.bundlePath}/${name}`,
    options: ['bind', 'ro', ...strict],
  });
  const half = Math.floor(spec.container.memoryBytes / 2);
  const all: OciMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: strict },
    memory('/dev', 64 * KiB, ['nosuid', 'noexec', 'strictatime', 'mode=755']),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    memory('/dev/shm', half, [...strict, 'mode=1777']),
    // Nothing of the machine is shown in /sys but the container's own limits.
    memory('/sys', 64 * KiB, [...strict, 'mode=755']),
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['ro', ...strict] },
    memory('/tmp', half, ['nosuid', 'nodev', 'mode=1777']),
    memory('/run', half, ['nosuid', 'nodev', 'mode=1777']),
    ...(ground.secretsPath === undefined || ground.secretsPath === null
      ? []
      : [
          {
            destination: SECRETS_PATH,
            type: 'bind',
            source: ground.secretsPath,
            options: ['bind', 'ro', ...strict],
          },
        ]),
    file('/etc/hosts', 'hosts'),
    file('/etc/hostname', 'hostname'),
    file('/etc/resolv.conf', 'resolv.conf'),
  ];
  const fitting = all.filter(({ destination }) =>
    MOUNT_POINTS.some(
      (point) =>
        ground.mountPoints.has(point) &&
        (destination === point || destination.startsWith(`${point}/`)),
    ),
  );
  return [...fitting, ...(spec.mounts ?? []).map(volumeMount)];
}

/**
 * Its files belong, on the volume, to the ids that the container knows (an idmapped mount), so that
 * they are the same in every container that it is given to.
 */
function volumeMount({ source, path, kind }: VolumeMount): OciMount {
  const options = kind === 'folder' ? ['bind', 'nosuid', 'nodev', 'idmap'] : ['bind', 'nosuid'];
  return { destination: path, type: 'bind', source, options };
}
