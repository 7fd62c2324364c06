import { z } from 'zod';

/** A name of the Domain Name System: no word of it can be taken for an option. */
const nameSchema = z
  .string()
  .max(253)
  .regex(/^(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63}){0,30}\.?$/u, 'a host name');
const addressSchema = z.union([z.ipv4(), z.ipv6()]);

/**
 * All that a farmer can ask a node about itself. Each is one fixed look: nothing in it is a
 * command, an option or a path, and none shows what a tenant has.
 */
export const lookSchema = z.discriminatedUnion('what', [
  z.strictObject({ what: z.literal('clock') }),
  z.strictObject({ what: z.literal('disks') }),
  z.strictObject({ what: z.literal('kernel-log') }),
  z.strictObject({ what: z.literal('links') }),
  z.strictObject({ what: z.literal('name'), name: nameSchema }),
  z.strictObject({ what: z.literal('packets') }),
  z.strictObject({
    what: z.literal('reach'),
    host: z.union([addressSchema, nameSchema]),
    port: z.int().min(1).max(65_535),
  }),
  z.strictObject({ what: z.literal('route'), address: addressSchema }),
]);
export type Look = z.infer<typeof lookSchema>;
