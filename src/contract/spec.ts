import { lookSchema } from './diagnosis/look.ts';
import { z } from 'zod';
import {
  addResources,
  classSchema,
  isShort,
  NO_RESOURCES,
  type Resources,
  resourcesSchema,
  shortfall,
} from '../capacity/spec.ts';
import { pricesSchema } from '../capacity/price.ts';
import { taskSchema } from '../capacity/measured/spec.ts';
import { credentialSchema } from '../attestation/spec.ts';
import { containerSchema } from '../container/spec.ts';
import { powerOrderSchema } from './health/power.ts';
import { idSchema } from '../identity/document.ts';
import { gridSchema } from '../identity/farm.ts';
import { volumeBytes, volumeSchema } from '../volume/spec.ts';
import { znetSchema } from '../znet/spec.ts';

export const WORKLOADS_MAX = 64;
const LIFETIME_MS_MAX = 366 * 24 * 3600 * 1000;

const workloadSchema = z.discriminatedUnion('kind', [znetSchema, volumeSchema, containerSchema]);
export type Workload = z.infer<typeof workloadSchema>;

/** What a tenant signs: everything that one node shall run, until when, and against which offer. */
export const contractSchema = z
  .strictObject({
    grid: gridSchema,
    /** The SHA-256 of version 1's payload; `null` in version 1, which can't hold its own hash. */
    id: idSchema.nullable(),
    version: z.int().min(1).max(1_000_000),
    /** The SHA-256 of the payload of the version before; `null` in version 1. */
    previous: idSchema.nullable(),
    tenant: idSchema,
    node: idSchema,
    /** The SHA-256 of the payload of the node's offer that this builds on. */
    offer: idSchema,
    nonce: z.string().regex(/^[0-9a-f]{32}$/),
    notBeforeMs: z.int().positive(),
    notAfterMs: z.int().positive(),
    /** The lowest class of node that it may run on. */
    requires: classSchema,
    /** The prices that the tenant agrees to: those of the offer. */
    price: pricesSchema,
    resources: resourcesSchema,
    /** The SHA-256 of the private body, which is never part of the record; `null` without one. */
    body: idSchema.nullable(),
    workloads: z.array(workloadSchema).max(WORKLOADS_MAX),
  })
  .superRefine((contract, context) => {
    for (const message of inconsistencies(contract)) context.addIssue({ code: 'custom', message });
  });
export type Contract = z.infer<typeof contractSchema>;

/** A signed wish to end a contract now, whatever its `notAfterMs` says. */
export const cancellationSchema = z.strictObject({
  grid: gridSchema,
  contract: idSchema,
  tenant: idSchema,
  node: idSchema,
  atMs: z.int().positive(),
});
export type Cancellation = z.infer<typeof cancellationSchema>;

/** A signed wish that a private body be erased; the contract that names it stays as it is. */
export const erasureSchema = z.strictObject({
  grid: gridSchema,
  tenant: idSchema,
  contract: idSchema,
  /** The SHA-256 by which the contract names the body. */
  body: idSchema,
  atMs: z.int().positive(),
});
export type Erasure = z.infer<typeof erasureSchema>;

const asked = {
  grid: gridSchema,
  node: idSchema,
  /** Who asks. */
  tenant: idSchema,
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  atMs: z.int().positive(),
};
/**
 * A question to a node, answered sealed to the asker: for the log of a workload of the asker's own,
 * or, by anybody, what the node's TPM saw of its boot, with a credential that only that TPM opens.
 */
export const questionSchema = z.discriminatedUnion('ask', [
  z.strictObject({
    ...asked,
    ask: z.literal('logs'),
    contract: idSchema,
    workload: z.string().max(32),
  }),
  z.strictObject({ ...asked, ask: z.literal('attest'), credential: credentialSchema }),
  /** What the node wants, has and waits for: of a contract to its tenant, of all to its farmer. */
  z.strictObject({ ...asked, ask: z.literal('explain'), contract: idSchema.nullable() }),
  /** By the node's farmer alone: to sleep, or to wake a neighbour. */
  z.strictObject({ ...asked, ask: z.literal('power'), order: powerOrderSchema }),
  /** By its farmer: one of the looks at the machine itself. */
  z.strictObject({ ...asked, ask: z.literal('look'), look: lookSchema }),
  /** By the directory alone: what the node has, measured. */
  z.strictObject({ ...asked, ask: z.literal('measure'), task: taskSchema }),
]);
export type Question = z.infer<typeof questionSchema>;

/** The answer: sealed to the tenant's sealing key, signed by the node. */
export const answerSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  /** The SHA-256 of the question's payload. */
  question: idSchema,
  /** Base64 of the sealed bytes. */
  sealed: z.string().max(200_000),
});
export type Answer = z.infer<typeof answerSchema>;

/** What the containers and volumes of a contract take in all. */
export function neededResources(workloads: readonly Workload[]): Resources {
  return workloads.reduce((sum, workload) => addResources(sum, neededBy(workload)), NO_RESOURCES);
}

function neededBy(workload: Workload): Resources {
  if (workload.kind === 'volume') return { ...NO_RESOURCES, ...volumeBytes(workload) };
  if (workload.kind === 'znet') return NO_RESOURCES;
  const { cpuMillis, memoryBytes, image } = workload;
  return { cpuMillis, memoryBytes, ssdBytes: image.lengthBytes, hddBytes: 0 };
}

/** What a schema by shape can't say. */
function* inconsistencies(contract: {
  id: string | null;
  version: number;
  previous: string | null;
  node: string;
  notBeforeMs: number;
  notAfterMs: number;
  resources: Resources;
  body: string | null;
  workloads: readonly Workload[];
}): Generator<string> {
  const isFirst = contract.version === 1;
  if (isFirst !== (contract.id === null) || isFirst !== (contract.previous === null)) {
    yield 'version 1 has neither id nor previous, every later version has both';
  }
  if (contract.notAfterMs <= contract.notBeforeMs) yield 'it ends before it begins';
  if (contract.notAfterMs - contract.notBeforeMs > LIFETIME_MS_MAX) yield 'it lasts over 366 days';
  const names = contract.workloads.map(({ kind, name }) => `${kind} ${name}`);
  if (new Set(names).size < names.length) yield 'two workloads of one kind have the same name';
  const needed = neededResources(contract.workloads);
  if (isShort(shortfall(needed, NO_RESOURCES, contract.resources))) {
    yield 'its workloads take more than its resources reserve';
  }
  const hasSecrets = contract.workloads.some(
    (workload) =>
      workload.kind === 'volume' || (workload.kind === 'container' && workload.secrets.length > 0),
  );
  if (hasSecrets !== (contract.body !== null)) {
    yield 'it names a private body exactly when its containers have secrets, or it has volumes';
  }
  for (const workload of contract.workloads) yield* misfits(workload, contract);
}

function* misfits(
  workload: Workload,
  contract: { node: string; workloads: readonly Workload[] },
): Generator<string> {
  if (workload.kind === 'container' && workload.znet !== null) {
    const has = contract.workloads.some(
      ({ kind, name }) => kind === 'znet' && name === workload.znet,
    );
    if (!has) yield `container ${workload.name} names a znet that is not in this contract`;
  }
  if (workload.kind === 'container') {
    const ways = workload.secrets.map(({ name, env }) => (env === null ? `/${name}` : env));
    const taken = [...ways, ...Object.keys(workload.env)];
    if (new Set(taken).size < taken.length) {
      yield `container ${workload.name} gets two values in one place`;
    }
    yield* mountMisfits(workload, contract.workloads);
  }
  if (workload.kind === 'znet') {
    const peers = workload.peers.map(({ node }) => node);
    if (peers.includes(contract.node)) yield `znet ${workload.name} names its own node as a peer`;
    if (new Set(peers).size < peers.length) yield `znet ${workload.name} names a peer twice`;
  }
}

function* mountMisfits(
  { name: container, volumes = [] }: Workload & { readonly kind: 'container' },
  workloads: readonly Workload[],
): Generator<string> {
  for (const { volume: name, path } of volumes) {
    const volume = workloads.find((it) => it.kind === 'volume' && it.name === name);
    if (volume?.kind !== 'volume') {
      yield `container ${container} names a volume that is not in this contract`;
    } else if ((volume.format === 'raw') !== /^\/dev\/[^/]+$/u.test(path)) {
      yield `container ${container} has volume ${name} at a place that is not for its format`;
    }
  }
  const paths = volumes.map(({ path }) => `${path}/`);
  const isNested = paths.some((path, at) =>
    paths.some((other, index) => index !== at && other.startsWith(path)),
  );
  if (isNested) yield `container ${container} has a volume inside of another`;
}
