import { z } from 'zod';
import { sha256Hex } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';
import { idSchema, type Identity } from './document.ts';
import { type Envelope, openEnvelope, parsePayload } from './envelope.ts';

export class FarmError extends ZosError<
  'FARM_FOREIGN' | 'TOKEN_FOREIGN' | 'TOKEN_EXPIRED' | 'GRID_FOREIGN'
> {}

export const gridSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'a-z, 0-9, dashes');

export const farmSchema = z.strictObject({
  grid: gridSchema,
  farmer: idSchema,
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a-z, 0-9 and dashes, 63 at most'),
});
/** A farm as its farmer signed it; its id is the SHA-256 of the signed payload. */
export type Farm = z.infer<typeof farmSchema>;

export const joinTokenSchema = z.strictObject({
  grid: gridSchema,
  farm: idSchema,
  farmer: idSchema,
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  notAfterMs: z.int().positive(),
  /** The farmer's consent that the node may use disks that are wholly blank, and no others. */
  takeBlankDisks: z.boolean(),
});
/** Lets one node join one farm, once; the farmer signs it into the node's boot media. */
export type JoinToken = z.infer<typeof joinTokenSchema>;

export const approvalSchema = z.strictObject({
  grid: gridSchema,
  farm: idSchema,
  farmer: idSchema,
  node: idSchema,
});
/** A farmer's word that one node, by its id, is of their farm: for one without a token. */
export type Approval = z.infer<typeof approvalSchema>;

export type Named<T> = T & { readonly id: string };

/** Throws `FarmError`, `EnvelopeError` or `JsonError`. */
export function verifyFarm(envelope: Envelope, farmer: Identity, grid: string): Named<Farm> {
  const payload = openEnvelope(envelope, 'farm', farmer.keys);
  const farm = parsePayload(payload, farmSchema);
  if (farm.farmer !== farmer.id) {
    throw new FarmError('FARM_FOREIGN', 'This farm names another farmer than the one who signed.');
  }
  if (farm.grid !== grid) throw foreignGrid(farm.grid, grid);
  return { ...farm, id: sha256Hex(payload) };
}

export type TokenContext = { readonly farmer: Identity; readonly grid: string; nowMs: number };

/**
 * Throws `FarmError`, `EnvelopeError` or `JsonError`; whether it was used is the store's to say.
 */
export function verifyJoinToken(envelope: Envelope, context: TokenContext): Named<JoinToken> {
  const payload = openEnvelope(envelope, 'join-token', context.farmer.keys);
  const token = parsePayload(payload, joinTokenSchema);
  if (token.farmer !== context.farmer.id) {
    throw new FarmError('TOKEN_FOREIGN', 'This join token names another farmer than its signer.');
  }
  if (token.grid !== context.grid) throw foreignGrid(token.grid, context.grid);
  if (context.nowMs >= token.notAfterMs) {
    throw new FarmError(
      'TOKEN_EXPIRED',
      'This join token is past its end; ask for new boot media.',
    );
  }
  return { ...token, id: sha256Hex(payload) };
}

/** Throws `FarmError`, `EnvelopeError` or `JsonError`; whose farm it is is the caller's to know. */
export function verifyApproval(
  envelope: Envelope,
  { farmer, grid }: { readonly farmer: Identity; readonly grid: string },
): Approval {
  const payload = openEnvelope(envelope, 'node-approval', farmer.keys);
  const approval = parsePayload(payload, approvalSchema);
  if (approval.farmer !== farmer.id) {
    throw new FarmError('FARM_FOREIGN', 'This approval names another farmer than who signed it.');
  }
  if (approval.grid !== grid) throw foreignGrid(approval.grid, grid);
  return approval;
}

function foreignGrid(found: string, expected: string): FarmError {
  return new FarmError('GRID_FOREIGN', `This is of the grid ${found}; here is ${expected}.`);
}
