import { z } from 'zod';
import { GiB, MiB } from '../lib/units.ts';
import { labelSchema, namedFileSchema } from '../lib/names.ts';

export const MEMORY_BYTES_MIN = 8 * MiB;
const TEXT_MAX = 4096;

const plainText = z
  .string()
  .max(TEXT_MAX)
  .refine((text) => !text.includes('\0'), 'holds a NUL');

export const SECRETS_MAX = 32;
const VOLUME_MOUNTS_MAX = 16;

/** Where a volume shall be: no place of the system's own or of a secret, and no way around. */
export const mountPathSchema = z
  .string()
  .max(200)
  .regex(/^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/, 'an absolute path without . and ..')
  .refine(
    (path) => !/^\/(?:proc|sys|run\/secrets)(?:\/|$)|^\/(?:run|dev|tmp|etc)$/u.test(path),
    'is the place of something else',
  );
const volumeMountSchema = z.strictObject({
  /** A volume of the same contract. */
  volume: labelSchema,
  /** A folder of its image, or below /run or /tmp; of a raw one, a name in /dev. */
  path: mountPathSchema,
});
const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/);

/** A container as a tenant asks for it. */
export const containerSchema = z.strictObject({
  kind: z.literal('container'),
  name: labelSchema,
  /** Its root file system: one EROFS file. */
  image: namedFileSchema,
  /** The program and its arguments; the program's path is absolute. */
  args: z.array(plainText).min(1).max(64),
  env: z.record(envName, plainText),
  /**
   * Values that only its node can read, out of the contract's private body: each as a variable of
   * its environment, or, where there is none named, as the file /run/secrets/NAME.
   */
  secrets: z.array(z.strictObject({ name: labelSchema, env: envName.nullable() })).max(SECRETS_MAX),
  /** The user and group id that it runs as inside; never 0 outside. */
  uid: z.int().min(1).max(65534),
  cpuMillis: z.int().min(10).max(256_000),
  memoryBytes: z
    .int()
    .min(MEMORY_BYTES_MIN)
    .max(4096 * GiB),
  pidsMax: z.int().min(1).max(32_768),
  /** The znet of the same contract that it is attached to; none means no network at all. */
  znet: labelSchema.nullable(),
  /** Lines for its /etc/hosts: the other containers of the deployment by name. */
  hosts: z.array(z.strictObject({ name: labelSchema, address: z.ipv6() })).max(256),
  /** Where it finds volumes; left out where there is none. */
  volumes: z.array(volumeMountSchema).min(1).max(VOLUME_MOUNTS_MAX).optional(),
});
export type Container = z.infer<typeof containerSchema>;
