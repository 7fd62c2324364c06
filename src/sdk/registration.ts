import { z } from 'zod';
import { bundleSchema } from '../identity/bundle.ts';
import { envelopeSchema } from '../identity/envelope.ts';
import { sha256Schema } from '../lib/names.ts';

export const NODE_STATES = ['joined', 'waiting-for-farmer'] as const;
export const registrationAnswer = z.object({
  id: sha256Schema,
  state: z.enum(NODE_STATES),
  farm: sha256Schema.nullable(),
});
export type Registration = z.infer<typeof registrationAnswer>;

/** A farmer's word that a node is of their farm, with the farmer's documents. */
export const approvalCarried = z.object({ word: envelopeSchema, farmer: bundleSchema });

/** What a node is told when it registers; with its farmer's word where it joined by that. */
export const registeredAnswer = registrationAnswer.extend({
  approval: approvalCarried.optional(),
});
export type Registered = z.infer<typeof registeredAnswer>;
