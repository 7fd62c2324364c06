import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { isMountPoint, mount, unmount } from '../host/mount.ts';
import { textOf, utf8 } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { firstIdOf, ociConfig, type Ground, SECRETS_PATH } from './oci.ts';
import type { ContainerSpec, SealedSecret } from './plan.ts';

export class SecretError extends ZosError<'SECRET_UNFIT'> {}

/** Opens what is sealed to this node; what it answers is wiped by who asked. */
export type OpenSecret = (secret: SealedSecret) => Uint8Array;

/**
 * Puts a container's secret files on a file system in memory that is never swapped out, readable by
 * the container's own user alone, and calls `use` with the folder to mount into it. Then it is
 * taken off the node's own tree: from there on only the container has it.
 */
export async function withSecretFiles(
  spec: ContainerSpec,
  openSecret: OpenSecret,
  use: (folder: string | null) => Promise<void>,
): Promise<void> {
  const files = spec.secrets.filter(({ env }) => env === null);
  if (files.length === 0) return use(null);
  const path = `${SECRETS_ROOT}/${spec.id}`;
  await dropSecretFiles(spec.id);
  await mkdir(SECRETS_ROOT, { recursive: true, mode: 0o711 });
  const options = ['nosuid', 'nodev', 'noexec', 'mode=0555'];
  await mount({ type: 'ramfs', source: 'zos-secrets', path, options });
  try {
    for (const secret of files)
      await writeSecret(`${path}/${secret.name}`, secret, { spec, openSecret });
    await use(path);
  } finally {
    await dropSecretFiles(spec.id);
  }
}

const SECRETS_ROOT = '/run/zos/container-secrets';

type Ways = { readonly spec: ContainerSpec; readonly openSecret: OpenSecret };

async function writeSecret(
  path: string,
  secret: SealedSecret,
  { spec, openSecret }: Ways,
): Promise<void> {
  const value = openSecret(secret);
  try {
    await writeFile(path, value, { mode: 0o400, flag: 'wx' });
    const id = firstIdOf(spec.id) + spec.container.uid;
    await chown(path, id, id);
  } finally {
    value.fill(0);
  }
}

/**
 * The bytes of the container's configuration with the secret variables of its environment, or
 * `undefined` where it has none; they are wiped by who is done with them.
 */
export function secretConfig(
  spec: ContainerSpec,
  ground: Ground,
  openSecret: OpenSecret,
): Uint8Array | undefined {
  const variables = spec.secrets.flatMap((secret) => {
    return secret.env === null ? [] : [`${secret.env}=${valueOf(secret, openSecret)}`];
  });
  if (variables.length === 0) return undefined;
  return utf8(JSON.stringify(ociConfig(spec, ground, variables)));
}

function valueOf(secret: SealedSecret, openSecret: OpenSecret): string {
  const value = openSecret(secret);
  try {
    const text = textOf(value);
    // The line's end that editors put behind a value in a file is no part of it.
    if (!text.includes('\0')) return text.replace(/\r?\n$/u, '');
  } catch {
    // The cause is dropped on purpose: it may tell of the value.
  } finally {
    value.fill(0);
  }
  throw new SecretError(
    'SECRET_UNFIT',
    `The secret ${secret.name} is no text, so it can't be a variable; take it as a file.`,
  );
}

/** Takes away what a start that was cut off left of a container's secret files. */
export async function dropSecretFiles(id: string): Promise<void> {
  const path = `${SECRETS_ROOT}/${id}`;
  if (await isMountPoint(path)) await unmount(path);
  await rm(path, { recursive: true, force: true });
}

/** Whether the image has no place for the container's secret files. */
export function isWithoutPlace(spec: ContainerSpec, { mountPoints }: Ground): boolean {
  return spec.secrets.some(({ env }) => env === null) && !mountPoints.has(parentOf(SECRETS_PATH));
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
