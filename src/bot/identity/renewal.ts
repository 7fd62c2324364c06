import type { IdentityBundle } from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { type KnownLink, succeed } from '../../identity/succession.ts';
import { codeOf } from '../../lib/errors.ts';
import type { Grid } from '../grid.ts';
import { readTeam, type Self, writeTeam } from '../store.ts';
import type { World } from '../world.ts';

/** An identity as the directory knows it, and what of it was not known here. */
export type Renewed = {
  readonly bundle: IdentityBundle;
  readonly identity: Identity;
  /** How many documents are new here. */
  readonly added: number;
  /** How many known ones no longer count. */
  readonly undone: number;
};

/**
 * Asks the directory for the newest documents of an identity that is known here. What is older than
 * that, or parts from it without right, is refused: a directory can hide changes, and undo none.
 */
export async function renew(world: World, grid: Grid, bundle: IdentityBundle): Promise<Renewed> {
  const known = verifyIdentity(bundle);
  const same: Renewed = { bundle, identity: known, added: 0, undone: 0 };
  let said: IdentityBundle;
  try {
    said = await grid.client.identity(known.id);
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return same;
    throw error;
  }
  const identity = verifyIdentity(said, known.id);
  for (const member of identity.members) {
    const before = known.members.find(({ id }) => id === member.id);
    if (before !== undefined) succeed(linksOf(before), member, world.nowMs());
  }
  try {
    const { added, undone } = succeed(linksOf(known), identity, world.nowMs());
    return { bundle: said, identity, added: added.length, undone: undone.length };
  } catch (error) {
    // What was changed here and did not get through is newer than what the directory has.
    if (codeOf(error) === 'IDENTITY_OLD') return same;
    throw error;
  }
}

/** A team that commands act for, with the newest documents of it and of its members. */
export async function renewTeam(world: World, grid: Grid, self: Self): Promise<Self> {
  const { team } = world.home;
  if (team === undefined) return self;
  const { bundle, identity } = await renew(world, grid, self.document);
  await writeTeam(world.home, { ...(await readTeam(world.home, team)), bundle });
  return { ...self, identity, document: bundle };
}

function linksOf({ chain }: Identity): KnownLink[] {
  return chain.map((link) => ({ ...link, atMs: null }));
}
