import { HOUR_MS } from '../lib/units.ts';
import { IdentityError } from './bundle.ts';
import type { Identity, Link } from './document.ts';

/** So long after a change was recorded, a key that ranks higher than its signer can undo it. */
export const UNDO_MS_MAX = 72 * HOUR_MS;

/** A document that is known already; `atMs` is when, or `null` where nobody wrote that down. */
export type KnownLink = Link & { readonly atMs: number | null };

export type Succession = {
  /** Documents that are new here, in their order. */
  readonly added: readonly Link[];
  /** Known ones that no longer count. */
  readonly undone: readonly KnownLink[];
};

/**
 * The one rule of which of two chains of an identity counts: the longer, where one goes on from the
 * other; where they part, the one that a higher-ranked key signed at that place, within 72 hours
 * of when the other was recorded. Everybody who remembers an identity asks it before going by what
 * is offered. Throws `IdentityError` for what is older, or parts without that right.
 */
export function succeed(
  known: readonly KnownLink[],
  offered: Pick<Identity, 'id' | 'chain'>,
  nowMs: number,
): Succession {
  const { chain } = offered;
  const parting = known.findIndex(({ digest }, at) => digest !== chain[at]?.digest);
  if (parting < 0) return { added: chain.slice(known.length), undone: [] };
  const [first, rival] = [known[parting] as KnownLink, chain[parting]];
  if (rival === undefined) {
    throw new IdentityError(
      'IDENTITY_OLD',
      'This identity has changed since; see `zos identity show` or `zos team show`, and sign anew.',
      { facts: { id: offered.id, documents: chain.length, newest: known.length } },
    );
  }
  if (rival.rank >= first.rank) {
    throw new IdentityError(
      'IDENTITY_FORKED',
      'Another change is known in this place; only a rotation key of a higher rank undoes it.',
      { facts: { id: offered.id, document: parting } },
    );
  }
  if (first.atMs !== null && nowMs - first.atMs > UNDO_MS_MAX) {
    throw new IdentityError(
      'UNDO_LATE',
      'What this would undo was recorded over 72 hours ago, and stands; change what holds now.',
      { facts: { id: offered.id, recordedMs: first.atMs } },
    );
  }
  return { added: chain.slice(parting), undone: known.slice(parting) };
}

/** What is known after a chain was taken: the times of what was known stay. */
export function linksAfter(
  known: readonly KnownLink[],
  { added, undone }: Succession,
  nowMs: number | null,
): KnownLink[] {
  const kept = known.slice(0, known.length - undone.length);
  return [...kept, ...added.map((link) => ({ ...link, atMs: nowMs }))];
}
