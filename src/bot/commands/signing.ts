import { contractDigest, signContract } from '../../contract/sign.ts';
import type { Contract } from '../../contract/spec.ts';
import { sha256Hex, utf8 } from '../../lib/bytes.ts';
import type { SealedBody } from '../deployment/secrets.ts';
import type { Standing } from '../deployments.ts';
import { itemsOf, type Part } from '../identity/part.ts';
import type { Self } from '../store.ts';
import { cancellationOf } from './cancel.ts';

/** What is to be signed of a deployment. */
export type Unsigned = {
  readonly contracts: readonly Contract[];
  /** By node id. */
  readonly bodies: ReadonlyMap<string, SealedBody>;
  readonly standing: Standing;
};

/** Every contract, signed, and those of before that have no place in the deployment any more. */
export function signAll(self: Self, { contracts, bodies, standing }: Unsigned) {
  const signed = contracts.map((contract) => {
    const envelope = signContract(contract, self.keys.signing);
    const id = contract.id ?? contractDigest(envelope);
    const body = bodies.get(contract.node)?.text;
    return { id, node: contract.node, version: contract.version, envelope, body };
  });
  const ids = signed.map((it) => it.id);
  const id = standing.id ?? sha256Hex(utf8(ids.toSorted().join('\n'))).slice(0, 10);
  const dropped = standing.contracts.filter((it) => !ids.includes(it.id));
  return { id, ids, signed, dropped };
}

export type PartWish = {
  readonly self: Self;
  readonly grid: string;
  /** Of the deployment. */
  readonly name: string;
  readonly atMs: number;
};

/** What the other members of a team have to sign before it can be sent. */
export function partOf({ self, grid, name, atMs }: PartWish, unsigned: Unsigned): Part {
  const { id, signed, dropped } = signAll(self, unsigned);
  const ends = dropped.map((it) => cancellationOf(self, { ...it, grid, atMs }));
  return { grid, team: self.identity.id, name, id, items: itemsOf(signed, ends) };
}
