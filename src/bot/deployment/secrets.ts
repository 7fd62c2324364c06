import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  encodeBody,
  SECRET_BYTES_MAX,
  sealSecret,
  sealVolumeKey,
  secretKey,
  volumeSecretKey,
} from '../../contract/checks/body.ts';
import { utf8 } from '../../lib/bytes.ts';
import { BotError } from '../errors.ts';
import type { Placement } from './plan.ts';
import type { Deployment, SecretSource } from './spec.ts';

export type SecretGround = {
  /** The deployment file: its folder is where its secret files are named from. */
  readonly file: string;
  /** A variable of the environment that the bot runs in. */
  readonly environment: (name: string) => string | undefined;
};

/** The values of a deployment's secrets; throws `BotError` that says where, and never what. */
export async function readSecrets(
  { secrets, containers }: Deployment,
  ground: SecretGround,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  for (const [name, source] of Object.entries(secrets)) {
    const value = await readSecret(name, source, ground);
    if (value.length === 0 || value.length > SECRET_BYTES_MAX) {
      throw new BotError(
        'SECRET_UNREADABLE',
        `secret ${name} has ${value.length} bytes; it needs 1 to ${SECRET_BYTES_MAX}.`,
      );
    }
    const isVariable = containers.some(({ secrets: wanted }) =>
      wanted.some((secret) => secret.name === name && secret.env !== null),
    );
    if (isVariable && !isText(value)) {
      throw new BotError(
        'SECRET_UNREADABLE',
        `secret ${name} is no text, so it can't be a variable; give it as a file, under secrets.`,
      );
    }
    values.set(name, value);
  }
  return values;
}

function isText(value: Uint8Array): boolean {
  return isUtf8(value) && !value.includes(0);
}

async function readSecret(
  name: string,
  source: SecretSource,
  { file, environment }: SecretGround,
): Promise<Uint8Array> {
  if ('environment' in source) {
    const value = environment(source.environment);
    if (value !== undefined) return utf8(value);
    throw new BotError(
      'SECRET_UNREADABLE',
      `secret ${name} is to come from the variable ${source.environment}, which is not set.`,
    );
  }
  try {
    return new Uint8Array(await readFile(resolve(dirname(file), source.file)));
  } catch (cause) {
    throw new BotError(
      'SECRET_UNREADABLE',
      `secret ${name} is to come from the file ${source.file}, which can't be read.`,
      { cause },
    );
  }
}

export type SealQuestion = {
  readonly deployment: Deployment;
  readonly placement: Placement;
  readonly grid: string;
  readonly tenant: string;
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** By volume. */
  readonly volumeKeys: ReadonlyMap<string, Uint8Array>;
  /** By node id: the key that only that node can open with. */
  readonly sealingKeys: ReadonlyMap<string, Uint8Array>;
  /** Of the tenant: makes the same value the same box again. */
  readonly sealerSecret: Uint8Array;
  /** By node id: 64 hex digits by chance. */
  readonly salts: ReadonlyMap<string, string>;
};

export type SealedBody = ReturnType<typeof encodeBody>;

/** The private body of each node's contract, for nodes with secrets of containers, or volumes. */
export function sealBodies(question: SealQuestion): ReadonlyMap<string, SealedBody> {
  const { deployment, placement, grid, tenant, sealerSecret } = question;
  const boxes = new Map<string, Record<string, string>>();
  for (const { name: container, secrets, volumes } of deployment.containers) {
    const node = placement.get(container) ?? '';
    const recipientKey = question.sealingKeys.get(node);
    if (recipientKey === undefined) continue;
    const put = (key: string, sealed: string): void => {
      boxes.set(node, { ...boxes.get(node), [key]: sealed });
    };
    for (const { name } of secrets) {
      const place = { grid, tenant, node, container, name };
      const value = question.values.get(name) ?? new Uint8Array();
      put(secretKey(place), sealSecret({ ...place, recipientKey, value, sealerSecret }));
    }
    for (const { name } of volumes) {
      const place = { grid, tenant, node, name };
      const value = question.volumeKeys.get(name) ?? new Uint8Array();
      put(volumeSecretKey(name), sealVolumeKey({ ...place, recipientKey, value, sealerSecret }));
    }
  }
  return new Map(
    [...boxes].map(([node, secrets]) => {
      return [node, encodeBody({ salt: question.salts.get(node) ?? '', secrets })];
    }),
  );
}
