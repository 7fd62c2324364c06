import { lstat, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { createContainer, deleteContainer, readContainer, startContainer } from '../host/crun.ts';
import { isMountPoint, mount, unmount } from '../host/mount.ts';
import { runIp } from '../host/net/ip.ts';
import type { Driver } from '../lib/driver.ts';
import { ZosError } from '../lib/errors.ts';
import {
  dropSecretFiles,
  isWithoutPlace,
  type OpenSecret,
  secretConfig,
  withSecretFiles,
} from './apply-secrets.ts';
import { prepareMounts } from './apply-mounts.ts';
import { openEndWatch } from './observe-ends.ts';
import { BUNDLE_ROOT, LOG_BYTES_MAX, logPath, openContainerLook } from './observe.ts';
import { hostsFile, MOUNT_POINTS, MOUNT_POINTS_NEEDED, ociConfig, openDigests } from './oci.ts';
import { compareContainer, type ContainerHave, type ContainerSpec, linkNameOf } from './plan.ts';

export class ContainerError extends ZosError<'CONTAINER_IMAGE_UNFIT' | 'CONTAINER_NOT_MADE'> {}

/** Containers, by the id that crun knows them by; `openSecret` opens what is sealed to it. */
export function containerDriver(openSecret: OpenSecret): Driver<ContainerSpec, ContainerHave> {
  const startFresh = async (spec: ContainerSpec, signal: AbortSignal): Promise<void> =>
    startWith(spec, openSecret, signal);
  const digests = openDigests();
  const look = openContainerLook();
  const { listen, follow } = openEndWatch();
  return {
    kind: 'container',
    observe: async () => {
      const seen = await look();
      follow(seen.values());
      return seen;
    },
    listen,
    compare: (spec, have) => compareContainer(spec, have, digests.get(spec)),
    create: startFresh,
    update: async (spec, have, signal) => {
      // Started again in its place, so that the log of what went wrong stays readable.
      await deleteContainer({ id: have.id, signal });
      await startFresh(spec, signal);
    },
    remove: removeContainer,
  };
}

/** Makes the container, gives it its network while it waits, and starts it; or leaves none. */
async function startWith(
  spec: ContainerSpec,
  openSecret: OpenSecret,
  signal: AbortSignal,
): Promise<void> {
  const mountPoints = await findMountPoints(spec.rootPath);
  const bundlePath = `${BUNDLE_ROOT}/${spec.id}`;
  if (isWithoutPlace(spec, { bundlePath, mountPoints })) {
    throw new ContainerError(
      'CONTAINER_IMAGE_UNFIT',
      'The image has no folder /run for secret files; add it and build the image anew.',
    );
  }
  const devices = await prepareMounts(spec);
  await withSecretFiles(spec, openSecret, async (secretsPath) => {
    const ground = { bundlePath, mountPoints, secretsPath, devices };
    await writeBundle(spec, ground);
    const config = secretConfig(spec, ground, openSecret);
    await startIn(spec, { bundlePath, config }, signal);
  });
}

type Bundle = { readonly bundlePath: string; readonly config: Uint8Array | undefined };

async function startIn(
  spec: ContainerSpec,
  { bundlePath, config }: Bundle,
  signal: AbortSignal,
): Promise<void> {
  await mountLog(spec.id, signal);
  await using output = await open(logPath(spec.id), 'a', 0o600);
  try {
    const secrets = config === undefined ? {} : { secretConfig: config };
    await createContainer({ id: spec.id, bundle: bundlePath, output, signal, ...secrets });
    await attach(spec, signal);
    await startContainer({ id: spec.id, signal });
  } catch (cause) {
    await deleteContainer({ id: spec.id }).catch(() => undefined);
    throw cause;
  }
}

async function removeContainer(
  id: string,
  have: ContainerHave,
  signal: AbortSignal,
): Promise<void> {
  // Without a process crun never had it, and would say so.
  if (have.pid !== 0) await deleteContainer({ id, signal });
  const logFolder = `${BUNDLE_ROOT}/${id}/log`;
  if (await isMountPoint(logFolder)) await unmount(logFolder, signal);
  await dropSecretFiles(id);
  await rm(`${BUNDLE_ROOT}/${id}`, { recursive: true, force: true });
}

/** The image is read-only: what is mounted over has to be in it already. */
async function findMountPoints(rootPath: string): Promise<ReadonlySet<string>> {
  const found = await Promise.all(
    MOUNT_POINTS.map(async (path) => {
      const entry = await lstat(`${rootPath}${path}`).catch(() => undefined);
      return entry?.isDirectory() === true || entry?.isFile() === true ? [path] : [];
    }),
  );
  const points = new Set<string>(found.flat());
  const missing = MOUNT_POINTS_NEEDED.filter((path) => !points.has(path));
  if (missing.length > 0) {
    throw new ContainerError(
      'CONTAINER_IMAGE_UNFIT',
      `The image has no folder ${missing.join(' and ')}; add it and build the image anew.`,
    );
  }
  return points;
}

async function writeBundle(
  spec: ContainerSpec,
  ground: Parameters<typeof ociConfig>[1],
): Promise<void> {
  const { bundlePath } = ground;
  // The container's first process passes through these folders as a user of no machine.
  await mkdir(bundlePath, { recursive: true, mode: 0o711 });
  const files = {
    hosts: hostsFile(spec),
    hostname: `${spec.container.name}\n`,
    'resolv.conf':
      '# No name is looked up outside: the names of this deployment are in /etc/hosts.\n',
  };
  await Promise.all([
    writeFile(`${bundlePath}/config.json`, JSON.stringify(ociConfig(spec, ground)), {
      mode: 0o600,
    }),
    ...Object.entries(files).map(async ([name, text]) =>
      writeFile(`${bundlePath}/${name}`, text, { mode: 0o644 }),
    ),
  ]);
}

/** A file system of its own for the log: a container that writes without end fills only that. */
async function mountLog(id: string, signal: AbortSignal): Promise<void> {
  const path = `${BUNDLE_ROOT}/${id}/log`;
  if (await isMountPoint(path)) return;
  const options = ['nosuid', 'nodev', 'noexec', 'mode=0700', `size=${LOG_BYTES_MAX}`];
  await mount({ type: 'tmpfs', source: 'zos-log', path, options, signal });
}

/**
 * Joins the waiting container to its network by a pair of links: `eth0` inside, the other in the
 * network's namespace with a route to this container alone. The links go when the container does.
 */
async function attach(spec: ContainerSpec, signal: AbortSignal): Promise<void> {
  if (spec.attachment === null) return;
  const { netns, address, mtuBytes } = spec.attachment;
  const pid = pidOf(spec.id);
  const link = linkNameOf(spec.id);
  const mtu = `mtu ${mtuBytes}`;
  const znetSide = [
    `link add dev ${link} ${mtu} type veth peer name eth0 ${mtu} netns ${pid}`,
    `link set dev ${link} addrgenmode none up`,
    `address add fe80::1/64 dev ${link} nodad`,
    `route add ${address}/128 dev ${link}`,
  ];
  const inside = [
    'link set dev eth0 addrgenmode none up',
    'address add fe80::2/64 dev eth0 nodad',
    `address add ${address}/128 dev eth0 nodad`,
    'route add default via fe80::1 dev eth0',
  ];
  await runIp(znetSide, { netns, signal });
  await runIp(inside, { netns: { pid }, signal });
}

function pidOf(id: string): number {
  const state = readContainer(id);
  if (state?.state === 'created') return state.pid;
  throw new ContainerError('CONTAINER_NOT_MADE', 'The container ended before it was started.');
}
