import { z } from 'zod';
import { METADATA_BYTES_MAX, ROOT_ROTATIONS_MAX } from '../artifact/release/metadata.ts';
import { MEASUREMENTS_BYTES_MAX } from '../attestation/spec.ts';
import {
  capacitySchema,
  classSchema,
  featureSchema,
  FEATURES,
  resourcesSchema,
} from '../capacity/spec.ts';
import { measurementSchema } from '../capacity/measured/spec.ts';
import { locationSchema } from '../capacity/farm/terms.ts';
import { countrySchema } from '../capacity/farm/countries.ts';
import { bodySchema } from '../contract/checks/body.ts';
import { heartbeatSchema } from '../contract/receipt.ts';
import { bundleSchema } from '../identity/bundle.ts';
import { envelopeSchema } from '../identity/envelope.ts';
import { gridSchema } from '../identity/farm.ts';
import { sha256Schema } from '../lib/names.ts';
import { KiB, MiB } from '../lib/units.ts';
import { registrationAnswer } from './registration.ts';
import { RELEASE_KINDS } from '../rollout/spec.ts';

/** The longest JSON document in an answer or a feed; the directory never lets one grow over it. */
export const ANSWER_BYTES_MAX = 32 * MiB;
export const REFUSAL_BYTES_MAX = 64 * KiB;
/** The longest that a long-poll may wait. */
export const WAIT_MS_MAX = 30_000;
export const PAGE_ITEMS_MAX = 200;
export const VERSIONS_SHOWN_MAX = 64;

const nonceSchema = z.string().regex(/^[0-9a-f]{32}$/, 'not 32 digits of lower-case hex');
export const timeQuery = z.strictObject({ nonce: nonceSchema });
export const idParams = z.strictObject({ id: sha256Schema });

/** Where a page begins: what `next` of the page before said. */
const cursorSchema = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const pageQuery = z.strictObject({
  cursor: cursorSchema.default(0),
  limit: z.coerce.number().int().min(1).max(PAGE_ITEMS_MAX).default(50),
});
/** A number in a query, from 0, which asks for nothing. */
const wishSchema = (most: number) => z.coerce.number().int().min(0).max(most);
const TiB = 1024 ** 4;
/** What a node shall have free, and be; what is not said does not matter. */
export const capacityQuery = pageQuery.extend({
  cpuMillis: wishSchema(4_096_000).default(0),
  memoryBytes: wishSchema(1024 * TiB).default(0),
  ssdBytes: wishSchema(1024 * TiB).default(0),
  hddBytes: wishSchema(1024 * TiB).default(0),
  country: countrySchema.optional(),
  farm: sha256Schema.optional(),
  /** The lowest class; `attested` only as long as it is proven. */
  class: classSchema.optional(),
  /** Names with commas between; a node has to have them all. */
  features: z
    .string()
    .max(200)
    .default('')
    .transform((text) => text.split(',').filter((name) => name !== ''))
    .pipe(z.array(featureSchema).max(FEATURES.length)),
  /** Whether it has to have been heard of in the last minutes. */
  isOnline: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
  /** The most that what is asked for may cost an hour, in millionths of the grid's unit. */
  hourMicrosMax: wishSchema(1_000_000_000_000).optional(),
});

export const contractsQuery = pageQuery.extend({
  tenant: sha256Schema.optional(),
  node: sha256Schema.optional(),
});
export const wantsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  waitMs: z.coerce.number().int().min(0).max(WAIT_MS_MAX).default(0),
});

export const farmBody = z.strictObject({ farm: envelopeSchema, farmer: bundleSchema });
export const nodeBody = z.strictObject({
  identity: envelopeSchema,
  token: envelopeSchema.nullable(),
  /** The identity document of the token's farmer. */
  farmer: bundleSchema.nullable(),
  offer: envelopeSchema,
});
export type NodeBody = z.infer<typeof nodeBody>;
export const contractBody = z.strictObject({
  contract: envelopeSchema,
  tenant: bundleSchema,
  /** The private body that the contract names; kept for its node, shown to nobody else. */
  body: bodySchema.optional(),
});
export const cancellationBody = z.strictObject({
  cancellation: envelopeSchema,
  tenant: bundleSchema,
});
export const erasureBody = z.strictObject({ erasure: envelopeSchema, tenant: bundleSchema });
export const questionBody = z.strictObject({ question: envelopeSchema, tenant: bundleSchema });

/** How a node stands with a release, as the directory sees it. */
export const TURN_STATES = ['waiting', 'open', 'good', 'bad', 'left'] as const;
export const TURNS_SHOWN_MAX = 2000;

const turnAnswer = z.object({
  node: sha256Schema,
  release: sha256Schema,
  what: z.enum(RELEASE_KINDS),
  state: z.enum(TURN_STATES),
  /** What a waiting node waits for, or why the release was bad. */
  because: z.string(),
  atMs: z.int(),
  /** Of an open turn: when the node has to have come back. */
  untilMs: z.int().nullable(),
  /** Whether the farmer has forgiven what was bad. */
  isForgiven: z.boolean(),
});
export const updatesAnswer = z.object({
  farm: sha256Schema,
  /** As the farmer signed it, with the farmer's document. */
  updatePolicy: z.object({ policy: envelopeSchema, farmer: bundleSchema }).nullable(),
  nodes: z.int(),
  /** So many nodes may be at it at a time. */
  atOnce: z.int(),
  /** The newest first. */
  turns: z.array(turnAnswer),
});
export type UpdatesAnswer = z.infer<typeof updatesAnswer>;

/** A release as it is published: metadata letter by letter, and what an honest boot measures. */
export const releaseBody = z.strictObject({
  roots: z.array(z.string().max(METADATA_BYTES_MAX.root)).max(ROOT_ROTATIONS_MAX),
  timestamp: z.string().max(METADATA_BYTES_MAX.timestamp),
  snapshot: z.string().max(METADATA_BYTES_MAX.snapshot),
  targets: z.string().max(METADATA_BYTES_MAX.targets),
  measurements: z.string().max(MEASUREMENTS_BYTES_MAX).nullable(),
});
export type ReleaseBody = z.infer<typeof releaseBody>;
/** The newest release, for who has its root keys; `roots` follow `trustedRoot`. */
export const releaseAnswer = releaseBody.extend({
  trustedRoot: z.string().max(METADATA_BYTES_MAX.root),
});
export type ReleaseAnswer = z.infer<typeof releaseAnswer>;

/** Every refusal, whatever its HTTP status. */
export const refusalSchema = z.object({
  code: z.string(),
  sentence: z.string(),
  facts: z.record(z.string(), z.unknown()).optional(),
});
export type Refusal = z.infer<typeof refusalSchema>;

function pageOf<T extends z.ZodType>(item: T) {
  /** `next` is the cursor of the page after this, `null` on the last. */
  return z.object({ items: z.array(item), next: z.int().nullable() });
}

export const idAnswer = z.object({ id: sha256Schema });
export const gridAnswer = z.object({ grid: gridSchema, directory: envelopeSchema });
export const farmAnswer = z.object({
  id: sha256Schema,
  name: z.string(),
  farmer: sha256Schema,
  farm: envelopeSchema,
  /** Place, prices and payout, as the farmer signed them; `null` before the first. */
  terms: envelopeSchema.nullable(),
});
export type FarmAnswer = z.infer<typeof farmAnswer>;
export const farmsAnswer = pageOf(farmAnswer);

/** What the directory found when it asked a node's TPM; anybody can ask again, and should. */
export const proofSchema = z.object({
  /** The offer that was proven. */
  offerId: sha256Schema,
  isProven: z.boolean(),
  atMs: z.int(),
  /** From then on it proves nothing. */
  untilMs: z.int(),
  release: z.string().nullable(),
  /** SHA-256 of the TPM's endorsement certificate. */
  tpm: sha256Schema.nullable(),
  /** The check that failed, in its code and sentence. */
  because: z.string(),
});
export type Proof = z.infer<typeof proofSchema>;

export const nodeAnswer = registrationAnswer.extend({
  /** Where its farmer says that its farm is. */
  location: locationSchema.nullable(),
  identity: envelopeSchema,
  offer: envelopeSchema,
  /** What a contract names as its `offer`. */
  offerId: sha256Schema,
  capacity: capacitySchema,
  /** What live contracts hold of it. */
  used: resourcesSchema,
  proof: proofSchema.nullable(),
  /**
   * Windows of five minutes in the last 30 days: in which the directory heard its signed signs of
   * life, in which nobody did and it signs that it was up, and in which the directory was there.
   */
  uptime: z.object({ heard: z.int(), said: z.int(), windows: z.int() }).nullable(),
  /** What it showed that it has, as the directory measured it last and put on the record. */
  measured: z.object({ envelope: envelopeSchema, payload: measurementSchema }).nullable(),
  heartbeat: z
    .object({ lastSeenMs: z.int(), envelope: envelopeSchema, payload: heartbeatSchema })
    .nullable(),
});
export type NodeAnswer = z.infer<typeof nodeAnswer>;
export const nodesAnswer = pageOf(nodeAnswer);
/**
 * Where the directory sees a contract: `reserved` until its node acknowledges it, else `released`;
 * `accepted`, `running`, `refused` and `ended` are the node's word; `cancelled` is the tenant's,
 * and holds its room until the node says `ended`; `expired` is the clock's.
 */
export const LIFE_STATES = [
  'reserved',
  'accepted',
  'running',
  'refused',
  'released',
  'cancelled',
  'ended',
  'expired',
] as const;
/**
 * `pending` waits for the node's word, `held` is what the node holds, `superseded` is older than
 * that, and `dropped` was refused or released, or went with its contract.
 */
export const VERSION_STATES = ['pending', 'held', 'superseded', 'dropped'] as const;

const contractSummary = z.object({
  id: sha256Schema,
  tenant: sha256Schema,
  node: sha256Schema,
  state: z.enum(LIFE_STATES),
  /** The newest version, whatever became of it. */
  version: z.int(),
  /** Until when the newest version waits for its node's word; `null` when it does not. */
  reservedUntilMs: z.int().nullable(),
  notAfterMs: z.int(),
  /** What it holds of its node now. */
  resources: resourcesSchema,
});
export type ContractSummary = z.infer<typeof contractSummary>;
export const contractsAnswer = pageOf(contractSummary);
export const contractAnswer = contractSummary.extend({
  /** The newest, `VERSIONS_SHOWN_MAX` at most, in their order. */
  versions: z.array(
    z.object({
      version: z.int(),
      digest: sha256Schema,
      state: z.enum(VERSION_STATES),
      contract: envelopeSchema,
      /** Whether it names a private body, and whether its tenant erased that. */
      body: z.enum(['none', 'kept', 'erased']),
      erasure: envelopeSchema.nullable(),
      /** Who signed it, as they stood then. */
      tenant: bundleSchema,
    }),
  ),
  cancellation: envelopeSchema.nullable(),
  /** The latest receipt of the contract's node, if there is one. */
  receipts: z.array(envelopeSchema),
});
export type ContractAnswer = z.infer<typeof contractAnswer>;

export const admissionAnswer = z.object({
  id: sha256Schema,
  digest: sha256Schema,
  version: z.int(),
  state: z.enum(LIFE_STATES),
  reservedUntilMs: z.int().nullable(),
});
export type AdmissionAnswer = z.infer<typeof admissionAnswer>;
