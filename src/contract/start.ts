import { z } from 'zod';
import { idSchema } from '../identity/document.ts';

/** Why a machine or its agent started. */
export const START_REASONS = [
  'power',
  'requested',
  'update',
  'update-back',
  'panic',
  'watchdog',
  'agent-crash',
  'disk',
] as const;

export const STARTS_MAX = 16;

export const startSchema = z.strictObject({
  what: z.enum(['boot', 'agent']),
  reason: z.enum(START_REASONS),
  /** Exactly what happened, for people; empty when there is nothing to add. */
  detail: z.string().max(300),
  /** SHA-256 of the system image that was started. */
  system: idSchema,
  /** Since the kernel started. */
  atMs: z.int().min(0),
});
/** A start of the machine, or of the agent alone, with its reason. */
export type Start = z.infer<typeof startSchema>;
