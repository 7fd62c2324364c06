import type { ZnetHave } from './plan.ts';
import type { ZnetEnd } from './spec.ts';

/** What a node says of its end in a receipt, once it has a key and a port. */
export function znetEndOf(have: ZnetHave, addresses: readonly string[]): ZnetEnd | undefined {
  const { id, publicKey, port } = have;
  if (!have.isWhole || publicKey === undefined || port === undefined) return undefined;
  return { znet: id, publicKey, port, addresses: addresses.slice(0, 8) };
}
