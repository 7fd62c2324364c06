import { z } from 'zod';
import { NODE_CLASSES, type NodeClass } from '../../capacity/spec.ts';
import { MEMORY_BYTES_MIN, SECRETS_MAX } from '../../container/spec.ts';
import { DAY_MS, GiB, MINUTE_MS } from '../../lib/units.ts';
import { labelSchema, type NamedFile, namedFileSchema } from '../../lib/names.ts';
import {
  volumeContradictions,
  volumeMountsFileSchema,
  volumesFileSchema,
  volumesOf,
  type VolumeWish,
} from '../volumes/spec.ts';
import { DURATION_PATTERN, parseDuration, parseSize, SIZE_PATTERN } from './units.ts';

const MEMORY_BYTES_MAX = 4096 * GiB;
const CONTAINERS_MAX = 48;
const NETWORKS_MAX = 16;

const deploymentName = z
  .string()
  .regex(/^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/, 'a letter, then letters, digits, dashes; 20 at most')
  .describe('What you call it; deploying the same name again changes what runs.');

/** No dash, so that `<deployment>-<network>` can be read in one way only. */
const networkName = z
  .string()
  .regex(/^[a-z][a-z0-9]{0,10}$/, 'a letter, then letters and digits; 11 at most');

const memory = z
  .string()
  .regex(SIZE_PATTERN, 'write a size such as 64MiB or 1.5GiB')
  .refine((text) => isWithin(parseSize(text), MEMORY_BYTES_MIN, MEMORY_BYTES_MAX), {
    message: 'from 8MiB to 4096GiB',
  })
  .describe('The most memory it may use, such as 64MiB.');

const duration = z
  .string()
  .regex(DURATION_PATTERN, 'write a duration such as 90m, 24h or 7d')
  .refine((text) => isWithin(parseDuration(text), MINUTE_MS, 365 * DAY_MS), {
    message: 'from 1m to 365d',
  })
  .describe('How long it runs, such as 24h or 7d; it ends by itself after that.');

const envName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'letters, digits, _');

const text = z
  .string()
  .max(4096)
  .refine((value) => !value.includes('\0'), 'holds a NUL');

/** Where the bot takes a value from; never from its arguments, which everybody sees in `ps`. */
const secretFileSchema = z.union([
  z.strictObject({
    file: text.describe('A file, from the folder of this one; taken as it is.'),
  }),
  z.strictObject({
    environment: envName.describe('A variable of the environment that `zos` runs in.'),
  }),
]);
export type SecretSource = z.infer<typeof secretFileSchema>;

const containerFileSchema = z.strictObject({
  image: namedFileSchema.describe('The root file system; `zos image FILE` prints this block.'),
  args: z
    .array(text)
    .min(1)
    .max(64)
    .describe('The program, by absolute path, and its arguments; there is no shell around it.'),
  env: z
    .record(envName, text)
    .optional()
    .describe('Environment variables; everybody who can read contracts can read them.'),
  secretEnv: z
    .record(envName, labelSchema)
    .optional()
    .describe('Environment variables that only its node can read: which secret each is.'),
  secrets: z
    .array(labelSchema)
    .max(SECRETS_MAX)
    .optional()
    .describe('Secrets that it finds as files, /run/secrets/NAME, for its own user alone.'),
  volumes: volumeMountsFileSchema,
  cpu: z
    .number()
    .min(0.01)
    .max(256)
    .optional()
    .describe('The most processor time, in logical processors; 0.5 unless said.'),
  memory: memory.optional().describe('The most memory it may use; 64MiB unless said.'),
  network: networkName
    .optional()
    .describe('The network it is on, where it finds the others by name; none unless said.'),
  node: z
    .string()
    .regex(/^[0-9a-f]{4,64}$/, 'the first 4 or more hex digits of a node id, see `zos nodes`')
    .optional()
    .describe('The node it runs on, by the first digits of its id; chosen for you unless said.'),
  uid: z
    .int()
    .min(1)
    .max(65534)
    .optional()
    .describe('The user and group id inside; 65534 unless said, and never 0.'),
});

/** A deployment as people write it; the published JSON Schema is made from this. */
export const deploymentFileSchema = z
  .strictObject({
    $schema: z.string().max(500).optional().describe('Where an editor finds this schema.'),
    name: deploymentName,
    duration,
    requires: z
      .enum(NODE_CLASSES)
      .optional()
      .describe(
        'The lowest class of node that it may run on, see `zos nodes`; `attested` is proven by ' +
          "the node's TPM, the others are the node's word. Any unless said.",
      ),
    networks: z
      .record(networkName, z.strictObject({}).describe('Nothing to say of a network yet: {}.'))
      .optional()
      .describe('Private networks; encrypted between nodes, and closed to everybody else.'),
    secrets: z
      .record(labelSchema, secretFileSchema)
      .optional()
      .describe('Values that are sealed here, to the nodes that need them, and opened there.'),
    volumes: volumesFileSchema,
    containers: z
      .record(labelSchema, containerFileSchema)
      .describe('What runs; a name here is the host name in its network.'),
    apart: z
      .array(labelSchema)
      .min(2)
      .max(CONTAINERS_MAX)
      .optional()
      .describe('Containers that shall each be on a node of their own.'),
  })
  .superRefine((file, context) => {
    for (const { path, message } of contradictions(file)) {
      context.addIssue({ code: 'custom', path, message });
    }
  });
type DeploymentFile = z.infer<typeof deploymentFileSchema>;

/** A container of a deployment, with everything decided that the file may leave out. */
export type ContainerWish = {
  readonly name: string;
  readonly image: NamedFile;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly network: string | null;
  /** The first digits of the wanted node's id. */
  readonly node: string | null;
  readonly uid: number;
  readonly secrets: { readonly name: string; readonly env: string | null }[];
  readonly volumes: readonly VolumeWish[];
};

/** What a tenant wishes for, over however many nodes. */
export type Deployment = {
  readonly name: string;
  readonly durationMs: number;
  /** The lowest class of node that any of it may run on. */
  readonly requires: NodeClass;
  readonly containers: readonly ContainerWish[];
  /** Where each secret's value is. */
  readonly secrets: Readonly<Record<string, SecretSource>>;
  readonly apart: readonly string[];
};

/** The file's text values as numbers with units, and its defaults filled in. */
export function deploymentOf(file: DeploymentFile): Deployment {
  return {
    name: file.name,
    durationMs: parseDuration(file.duration) ?? 0,
    requires: file.requires ?? 'unverified',
    apart: file.apart ?? [],
    secrets: file.secrets ?? {},
    containers: Object.entries(file.containers).map(([name, container]) => ({
      name,
      image: container.image,
      args: container.args,
      env: container.env ?? {},
      cpuMillis: Math.max(10, Math.round((container.cpu ?? 0.5) * 1000)),
      memoryBytes: parseSize(container.memory ?? '64MiB') ?? 0,
      network: container.network ?? null,
      node: container.node ?? null,
      uid: container.uid ?? 65534,
      volumes: volumesOf(container.volumes, file.volumes),
      secrets: [
        ...(container.secrets ?? []).map((secret) => ({ name: secret, env: null })),
        ...Object.entries(container.secretEnv ?? {}).map(([env, secret]) => ({
          name: secret,
          env,
        })),
      ],
    })),
  };
}

type Contradiction = { readonly path: (string | number)[]; readonly message: string };

/** What a schema by shape can't say. */
function* contradictions(file: DeploymentFile): Generator<Contradiction> {
  const names = Object.keys(file.containers);
  const networks = Object.keys(file.networks ?? {});
  if (names.length === 0) yield { path: ['containers'], message: 'name at least one container' };
  if (names.length > CONTAINERS_MAX) {
    yield { path: ['containers'], message: `${CONTAINERS_MAX} containers at most` };
  }
  if (networks.length > NETWORKS_MAX) {
    yield { path: ['networks'], message: `${NETWORKS_MAX} networks at most` };
  }
  for (const [name, { network, args }] of Object.entries(file.containers)) {
    if (args[0]?.startsWith('/') === false) {
      const message = 'write the absolute path of the program, such as /bin/busybox';
      yield { path: ['containers', name, 'args', 0], message };
    }
    if (network === undefined || networks.includes(network)) continue;
    const message = `there is no network "${network}" under networks; add \`${network}: {}\` there`;
    yield { path: ['containers', name, 'network'], message };
  }
  yield* secretContradictions(file);
  yield* volumeContradictions(file);
  for (const [index, name] of (file.apart ?? []).entries()) {
    if (!names.includes(name)) {
      yield { path: ['apart', index], message: `there is no container "${name}"` };
    } else if (file.apart?.indexOf(name) !== index) {
      yield { path: ['apart', index], message: `"${name}" stands here twice` };
    }
  }
}

function* secretContradictions(file: DeploymentFile): Generator<Contradiction> {
  const known = Object.keys(file.secrets ?? {});
  const used = new Set<string>();
  for (const [name, { secrets = [], secretEnv = {}, env = {} }] of Object.entries(
    file.containers,
  )) {
    const path = ['containers', name];
    const wanted = [
      ...secrets.map((secret, index) => ({ secret, at: [...path, 'secrets', index] })),
      ...Object.entries(secretEnv).map(([variable, secret]) => ({
        secret,
        at: [...path, 'secretEnv', variable],
      })),
    ];
    for (const { secret, at } of wanted) {
      used.add(secret);
      if (known.includes(secret)) continue;
      yield { path: at, message: `there is no "${secret}" under secrets; add it there` };
    }
    for (const [index, secret] of secrets.entries()) {
      if (secrets.indexOf(secret) === index) continue;
      yield { path: [...path, 'secrets', index], message: `"${secret}" stands here twice` };
    }
    for (const variable of Object.keys(secretEnv)) {
      if (!Object.hasOwn(env, variable)) continue;
      const message = `${variable} stands under env too; keep one of them`;
      yield { path: [...path, 'secretEnv', variable], message };
    }
  }
  for (const name of known) {
    if (!used.has(name)) yield { path: ['secrets', name], message: 'no container uses it' };
  }
}

function isWithin(value: number | undefined, min: number, max: number): boolean {
  return value !== undefined && value >= min && value <= max;
}
