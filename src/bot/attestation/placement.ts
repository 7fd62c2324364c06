import { AttestationError } from '../../attestation/spec.ts';
import { isClassEnough } from '../../capacity/class.ts';
import type { NodeClass } from '../../capacity/spec.ts';
import { paint } from '../../lib/colour.ts';
import { BotError } from '../errors.ts';
import type { Grid, KnownNode } from '../grid.ts';
import { nodesOf } from '../deployment/compile.ts';
import type { Placement } from '../deployment/plan.ts';
import type { Self } from '../store.ts';
import { shortId } from '../terminal.ts';
import type { World } from '../world.ts';
import { proveNode } from './proof.ts';
import { readMeasurements } from './release.ts';

export type ClassQuestion = {
  readonly world: World;
  readonly grid: Grid;
  readonly self: Self;
  readonly requires: NodeClass;
  readonly online: readonly KnownNode[];
  /** First digits of ids of nodes that containers name. */
  readonly named: readonly string[];
  /** Places everything on these nodes, or throws. */
  readonly place: (nodes: readonly KnownNode[]) => Placement;
};

/**
 * Places only on nodes of the class that is required. `attested` is proven to this bot, here and
 * now, before anything is signed: one that can't prove it is left out, and all is placed again.
 */
export async function placeByClass(question: ClassQuestion): Promise<Placement> {
  const { world, grid, self, requires, online, place } = question;
  refuseNamed(question);
  let left = online.filter(({ class: nodeClass }) => isClassEnough(nodeClass, requires));
  if (left.length === 0 && online.length > 0) throw tooLow(requires, online.length);
  if (requires !== 'attested') return place(left);
  const measurements = await readMeasurements(world, grid);
  const proven = new Set<string>();
  for (;;) {
    const placement = place(left);
    const asked = left.find(
      ({ identity }) => nodesOf(placement).includes(identity.id) && !proven.has(identity.id),
    );
    if (asked === undefined) return placement;
    const { id } = asked.identity;
    try {
      await proveNode({ world, grid, self, measurements }, asked);
      proven.add(id);
    } catch (error) {
      const isSlow = error instanceof BotError && error.code === 'TOO_SLOW';
      if (!(error instanceof AttestationError) && !isSlow) throw error;
      const warning = `Node ${shortId(id)} is left out: ${error.message}`;
      world.terminal.err(`${paint(world.terminal, 'yellow', warning)}\n`);
      left = left.filter(({ identity }) => identity.id !== id);
      if (left.length === 0) throw tooLow(requires, online.length);
    }
  }
}

/** A node that is named is never exchanged for another: it is good enough, or nothing is placed. */
function refuseNamed({ named, online, requires }: ClassQuestion): void {
  for (const prefix of named) {
    const node = online.find(({ identity }) => identity.id.startsWith(prefix));
    if (node === undefined || isClassEnough(node.class, requires)) continue;
    const sentence =
      `Node ${shortId(node.identity.id)} is of class ${node.class}, as far as it could prove, ` +
      `and the deployment requires ${requires}; name another, or none.`;
    throw new BotError('CLASS_TOO_LOW', sentence, { facts: { requires } });
  }
}

function tooLow(requires: NodeClass, online: number): BotError {
  const sentence =
    `The deployment requires nodes of class ${requires}, and none of the ${online} that are ` +
    'online is; see `zos nodes`, or ask for less with `requires`.';
  return new BotError('CLASS_TOO_LOW', sentence, { facts: { requires } });
}
