import { z } from 'zod';

/** The most network cards that are told of one node. */
export const CARDS_MAX = 8;
/** Of an Ethernet card: `52:54:00:5a:00:01`. */
export const macSchema = z.string().regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/u);

/** What a farmer may ask of a node's power: to go to sleep, or to wake a neighbour by its cards. */
export const powerOrderSchema = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('sleep') }),
  z.strictObject({ do: z.literal('wake'), cards: z.array(macSchema).min(1).max(CARDS_MAX) }),
]);
export type PowerOrder = z.infer<typeof powerOrderSchema>;

export const powerAnswerSchema = z.strictObject({ isDone: z.boolean(), sentence: z.string() });
/** Whether a node does so, and why not. */
export type PowerAnswer = z.infer<typeof powerAnswerSchema>;
