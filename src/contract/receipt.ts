import { z } from 'zod';
import { meterSchema } from '../capacity/use/meter.ts';
import { refusalSchema, versionsSchema } from '../artifact/spec.ts';
import { DISKS_TOLD_MAX, diskStatusSchema } from '../disk/status.ts';
import { idSchema, type Identity } from '../identity/document.ts';
import { type Envelope, openEnvelope, parsePayload } from '../identity/envelope.ts';
import { gridSchema } from '../identity/farm.ts';
import { ZosError } from '../lib/errors.ts';
import { badMarkSchema } from '../rollout/spec.ts';
import { metricsSchema } from './health/metrics.ts';
import { CARDS_MAX, macSchema } from './health/power.ts';
import { troubleSchema, TROUBLES_MAX } from './health/trouble.ts';
import { startSchema, STARTS_MAX } from './start.ts';
import { znetEndSchema } from '../znet/spec.ts';

export class ReceiptError extends ZosError<'RECEIPT_FOREIGN'> {}

const BAD_MARKS_MAX = 16;

/** Where a workload stands; what a node shows is what its kernel shows. */
export const WORKLOAD_STATES = ['waiting', 'running', 'failed', 'stopped'] as const;

const workloadStateSchema = z.strictObject({
  kind: z.enum(['znet', 'volume', 'container']),
  name: z.string().max(32),
  state: z.enum(WORKLOAD_STATES),
  /** Why, for people: what it waits for with numbers, or what failed; empty when running. */
  because: z.string().max(500),
  /** Of a running container: the kernel's process id on the node and when it started. */
  pid: z.int().positive().optional(),
  startedAtMs: z.int().positive().optional(),
});
export type WorkloadState = z.infer<typeof workloadStateSchema>;

/** Where a contract stands at its node. */
export const CONTRACT_STATES = ['accepted', 'refused', 'running', 'ended'] as const;

export const receiptSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  /** Grows with every receipt of this node: an older one never replaces a newer one. */
  seq: z.int().positive(),
  atMs: z.int().positive(),
  contract: idSchema,
  version: z.int().min(1),
  /** The SHA-256 of that version's payload: a number alone can be given twice. */
  digest: idSchema,
  state: z.enum(CONTRACT_STATES),
  /** Of a refused contract: the code and the sentence of the failed check. */
  refusal: z.strictObject({ code: z.string().max(60), sentence: z.string().max(500) }).optional(),
  workloads: z.array(workloadStateSchema).max(64),
  /** This node's ends of the contract's znets. */
  znetEnds: z.array(znetEndSchema).max(64),
  /** What it used so far, of a contract that ran. */
  meter: meterSchema.optional(),
});
/** What a node says of a contract, signed and numbered. */
export type Receipt = z.infer<typeof receiptSchema>;

export const BOOT_REFUSALS_MAX = 8;

const bootReportSchema = z.strictObject({
  /** Of the release's metadata. */
  versions: versionsSchema,
  /** Who loaded the kernel, if a loader of ours did, and where the farm file came from. */
  loader: z.enum(['local', 'network']).nullable(),
  media: z.string().max(600),
  /** What this boot did not take, the latest of it. */
  refusals: z.array(refusalSchema).max(BOOT_REFUSALS_MAX),
});
export type BootReport = z.infer<typeof bootReportSchema>;

/** What a node holds of the record, for all to compare with what the directory shows them. */
const recordSeenSchema = z.strictObject({
  /** The last checkpoint that it verified, its root in base64. */
  size: z.int().min(0),
  root: z.base64().length(44),
  /** The highest number of an entry for this node up to which it has seen every one. */
  seq: z.int().min(0),
  /** Why it trusts the directory's record no further, until it is shown a good head. */
  alarm: z.strictObject({ code: z.string().max(60), sentence: z.string().max(500) }).nullable(),
});
export type RecordSeen = z.infer<typeof recordSeenSchema>;

export const heartbeatSchema = z.strictObject({
  grid: gridSchema,
  node: idSchema,
  seq: z.int().positive(),
  atMs: z.int().positive(),
  bootId: z.string().max(64),
  uptimeMs: z.int().min(0),
  memory: z.strictObject({ totalBytes: z.int().min(0), availableBytes: z.int().min(0) }),
  /** SHA-256 of the system image that the node runs. */
  system: idSchema.nullable(),
  /** Names the kernel and first stage that run, as a release of the kind `kernel`. */
  kernel: idSchema.nullable().optional(),
  /** Whether the node may still go back by itself from the system that runs. */
  isOnTrial: z.boolean().optional(),
  /** Releases that the node tried and left again. */
  systemBad: z.array(badMarkSchema).max(BAD_MARKS_MAX).optional(),
  addresses: z.array(z.string().max(50)).max(32),
  /** Milliseconds from kernel start to each stage of this boot. */
  stages: z.array(z.strictObject({ name: z.string().max(60), atMs: z.int().min(0) })).max(32),
  /** Whether the node's key is sealed by hardware, kept on a disk, or gone at the next boot. */
  keyKept: z.enum(['sealed', 'disk', 'memory']),
  /** What the kernel says of this boot, read back, and why the class is not higher. */
  security: z
    .strictObject({
      isSecureBoot: z.boolean(),
      lockdown: z.string().max(20),
      because: z.string().max(500),
    })
    .optional(),
  record: recordSeenSchema.optional(),
  /** How the first stage came to its system. */
  boot: bootReportSchema.optional(),
  /** Times the agent was started in this boot, the first included. */
  agentStarts: z.int().min(1),
  /** The newest starts of this boot, the newest last, each with its reason. */
  starts: z.array(startSchema).max(STARTS_MAX).optional(),
  /** What is wrong with the node now, the oldest first. */
  troubles: z.array(troubleSchema).max(TROUBLES_MAX).optional(),
  metrics: metricsSchema.optional(),
  /** Of its network cards, by which a neighbour can wake it. */
  cards: z.array(macSchema).max(CARDS_MAX).optional(),
  /** It goes to sleep with this word, because its farmer asked: it is neither up nor down then. */
  isAsleep: z.literal(true).optional(),
  /** Starts of the machine as this node, this one included: two at once are a copied disk. */
  boots: z.int().min(1).optional(),
  disks: z.array(diskStatusSchema).max(DISKS_TOLD_MAX).optional(),
});
/** The sign of life of a node; it is not kept for ever and is no part of the record. */
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** Throws `ReceiptError`, `EnvelopeError` or `JsonError`. */
export function verifyReceipt(envelope: Envelope, node: Identity, grid: string): Receipt {
  const receipt = parsePayload(openEnvelope(envelope, 'receipt', node.keys), receiptSchema);
  refuseForeign(receipt, node, grid);
  return receipt;
}

/** Throws `ReceiptError`, `EnvelopeError` or `JsonError`. */
export function verifyHeartbeat(envelope: Envelope, node: Identity, grid: string): Heartbeat {
  const heartbeat = parsePayload(openEnvelope(envelope, 'heartbeat', node.keys), heartbeatSchema);
  refuseForeign(heartbeat, node, grid);
  return heartbeat;
}

function refuseForeign(said: { node: string; grid: string }, node: Identity, grid: string): void {
  if (said.node === node.id && said.grid === grid) return;
  throw new ReceiptError('RECEIPT_FOREIGN', 'It speaks for another node or grid than its signer.');
}
