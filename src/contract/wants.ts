import { z } from 'zod';
import { CONSENTS_MAX } from '../disk/consent.ts';
import { bundleSchema } from '../identity/bundle.ts';
import { envelopeSchema } from '../identity/envelope.ts';
import { bodySchema } from './checks/body.ts';
import { placed, proofSchema } from './record/place.ts';

/** So many at a time; the next heartbeat makes room for more. */
export const PASSED_MAX = 256;

/**
 * Everything that the directory has for one node, whole, each time something of it changes. It is
 * carried, not trusted: the node checks every envelope in it by itself.
 */
export const wantsSchema = z.strictObject({
  /** Grows with every change for this node; resumes a feed, decides nothing. */
  revision: z.int().min(0),
  contracts: z
    .array(
      z.strictObject({
        contract: envelopeSchema,
        tenant: bundleSchema,
        /** Its private body, unless it has none or it was erased. */
        body: bodySchema.optional(),
        ...placed,
      }),
    )
    .max(4096),
  cancellations: z
    .array(z.strictObject({ cancellation: envelopeSchema, tenant: bundleSchema, ...placed }))
    .max(4096),
  /**
   * Entries for this node after the last one that its heartbeats name, of which nothing is left to
   * do, such as a version that came to its end meanwhile: so that no number is missing.
   */
  passed: z
    .array(z.strictObject({ entry: z.string().max(400), proof: proofSchema }))
    .max(PASSED_MAX)
    .optional(),
  /** The latest receipt of every node that shares a znet with this one, with its identity. */
  peers: z.array(z.strictObject({ receipt: envelopeSchema, node: envelopeSchema })).max(4096),
  /** What the node's farmer asks for its capacity, with the farmer's document. */
  farmTerms: z.strictObject({ terms: envelopeSchema, farmer: bundleSchema }).optional(),
  /** How the node's farmer wants it updated, with the farmer's document. */
  updatePolicy: z.strictObject({ policy: envelopeSchema, farmer: bundleSchema }).optional(),
  /** What the node's farmer lets it do with its disks. */
  diskConsents: z
    .array(z.strictObject({ consent: envelopeSchema, farmer: bundleSchema }))
    .max(CONSENTS_MAX)
    .optional(),
  questions: z.array(z.strictObject({ question: envelopeSchema, tenant: bundleSchema })).max(256),
});
export type Wants = z.infer<typeof wantsSchema>;
