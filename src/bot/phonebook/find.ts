import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { payloadTypeOf } from '../../identity/envelope.ts';
import { codeOf } from '../../lib/errors.ts';
import { type Holding, holderOf, type VerifiedClaim, verifyClaim } from '../../phonebook/name.ts';
import { leafHashOf } from '../../record/entry.ts';
import { RecordError } from '../../record/tree.ts';
import { type RecordedEntry, verifyTlogProof } from '../../record/verify.ts';
import type { NameAnswer } from '../../sdk/phonebook/api.ts';
import { BotError } from '../errors.ts';
import { type Grid, openGrid } from '../grid.ts';
import { openRecord } from '../record/fetch.ts';
import { recordPolicy } from '../record/policy.ts';
import type { World } from '../world.ts';
import { readNames, writeName } from './store.ts';

/** A name, whose it is, and where the record says so. */
export type FoundName = {
  readonly holding: Holding;
  readonly place: RecordedEntry;
  /** The holder's identity as it is now. */
  readonly identity: Identity;
};

/** All that was claimed of a name, checked and followed from its first claim; `undefined`: none. */
export async function claimsOf(grid: Grid, name: string): Promise<VerifiedClaim[] | undefined> {
  let said: NameAnswer;
  try {
    said = await grid.client.name(name);
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined;
    throw error;
  }
  return said.claims.map(({ claim, owner }) =>
    verifyClaim(claim, verifyIdentity(owner), grid.name),
  );
}

/**
 * Whose a name is, believed for four reasons: every claim is signed by its owner, each follows the
 * one before, each stands on the record that the witnesses saw, in that order, and what this bot
 * saw of the name before is among them. Throws `BotError` and what the checks throw.
 */
export async function findName(world: World, name: string): Promise<FoundName> {
  const grid = await openGrid(world);
  const claims = await claimsOf(grid, name);
  const holding = claims === undefined ? undefined : holderOf(name, claims);
  if (claims === undefined || holding === undefined) {
    await refuseKnown(world, name, claims ?? []);
    throw new BotError('NAME_UNKNOWN', `Nobody holds the name ${name}; check how it is written.`);
  }
  const place = await placeOf(world, grid, claims);
  await refuseKnown(world, name, claims);
  const identity = verifyIdentity(await grid.client.identity(holding.owner), holding.owner);
  await writeName(world.home, holding);
  return { holding, place, identity };
}

/** The place of the last claim, once all of them are proven, each behind the one before. */
async function placeOf(
  world: World,
  { url }: Grid,
  claims: readonly VerifiedClaim[],
): Promise<RecordedEntry> {
  const policy = await recordPolicy(world);
  const source = openRecord(url, world.signal);
  let last: RecordedEntry | undefined;
  for (const { name, digest } of claims) {
    const proof = await source.proof(digest);
    if (proof === undefined) {
      const sentence = `The claim of ${name} is not on the record that witnesses saw; ask again.`;
      throw new BotError('NAME_UNPROVEN', sentence);
    }
    const leafHash = leafHashOf({ payloadType: payloadTypeOf('name'), digest });
    const place = verifyTlogProof(proof, leafHash, policy);
    if (last !== undefined && place.index <= last.index) {
      throw new RecordError('PROOF_MALFORMED', `The claims of ${name} were recorded backwards.`);
    }
    last = place;
  }
  if (last === undefined) throw new BotError('NAME_UNPROVEN', 'No claim was shown; ask again.');
  return last;
}

async function refuseKnown(
  world: World,
  name: string,
  claims: readonly VerifiedClaim[],
): Promise<void> {
  const known = (await readNames(world.home))[name];
  if (known === undefined || claims.some(({ digest }) => digest === known.digest)) return;
  throw new BotError(
    'NAME_CHANGED',
    `The directory shows another history of ${name} than before, when it was ` +
      `${known.owner.slice(0, 10)}'s; do not believe it, and run \`zos record audit\`.`,
    { facts: { name, known } },
  );
}
