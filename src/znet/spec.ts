import { z } from 'zod';
import { idSchema } from '../identity/document.ts';
import { labelSchema } from '../lib/names.ts';

export const ZNET_PEERS_MAX = 64;

/** A tenant's private network as it stands on one node. */
export const znetSchema = z.strictObject({
  kind: z.literal('znet'),
  name: labelSchema,
  /** The other nodes of this network, by node id; their keys come from their own receipts. */
  peers: z.array(z.strictObject({ node: idSchema })).max(ZNET_PEERS_MAX),
});
export type Znet = z.infer<typeof znetSchema>;

/** What a node says of its end of a znet, in a receipt that it signs. */
export const znetEndSchema = z.strictObject({
  znet: z.string().regex(/^[0-9a-f]{32}$/),
  /** X25519, base64 as WireGuard writes it. */
  publicKey: z.string().length(44),
  /** The UDP port that the kernel chose, and the node's own addresses to try it at. */
  port: z.int().min(1).max(65535),
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).max(8),
});
export type ZnetEnd = z.infer<typeof znetEndSchema>;
