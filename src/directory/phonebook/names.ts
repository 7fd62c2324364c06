import { followName, type Holding, NameError, type VerifiedClaim } from '../../phonebook/name.ts';
import { NAME_VERSIONS_MAX } from '../../phonebook/spec.ts';
import type { NameAnswer, NameSummary } from '../../sdk/phonebook/api.ts';
import { RefusedError } from '../errors.ts';
import { recordOf } from '../record/append.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Row, type Work } from '../database/work.ts';
import { envelopeIn, numberIn, pageOf, textIn } from '../sql/rows.ts';
import { bundleIn, keepBundle, putIdentity } from '../identity/identities.ts';
import type { Carried, CarriedIdentity, Page, PageOf } from '../store.ts';

/** The most names that one identity holds; names cost nothing, so that they need an end. */
export const OWNER_NAMES_MAX = 16;

export type NamesFilter = { readonly owner?: string | undefined };

/** A claim with the identity that signed it. */
export type NameEntry = {
  readonly claim: Carried<VerifiedClaim>;
  readonly owner: CarriedIdentity;
  readonly nowMs: number;
};

/** Lets a claim change who holds its name, and puts it on the record; throws `NameError`. */
export function* putName(
  transaction: Transaction,
  { claim: { value, envelope }, owner, nowMs }: NameEntry,
): Work<void> {
  const { name, version } = value;
  const row = yield* one('SELECT * FROM names WHERE name = :name', { name });
  const before = row === undefined ? undefined : holdingIn(row);
  const after = followName(before, value);
  if (after === before) return;
  if (after.state === 'held') yield* refuseHoarder(after.owner);
  yield* putIdentity(transaction, owner, nowMs);
  yield* run(
    `INSERT INTO names (name, owner, version, digest, state)
     VALUES (:name, :owner, :version, :digest, :state)
     ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, version = excluded.version,
       digest = excluded.digest, state = excluded.state`,
    { ...after },
  );
  yield* run(
    `INSERT INTO name_claims (name, version, claim, bundle)
     VALUES (:name, :version, :claim, :bundle)`,
    { name, version, claim: JSON.stringify(envelope), bundle: yield* keepBundle(owner.envelope) },
  );
  transaction.record(recordOf(envelope));
}

function* refuseHoarder(owner: string): Work<void> {
  const row = yield* one(
    `SELECT COUNT(*) AS held FROM names WHERE owner = :owner AND state = 'held'`,
    { owner },
  );
  if (numberIn(row ?? {}, 'held') < OWNER_NAMES_MAX) return;
  throw new RefusedError(
    'NAMES_MANY',
    `An identity holds ${OWNER_NAMES_MAX} names at most; release one first.`,
  );
}

/** All claims of a name, the first first, each with its owner's document. */
export function* nameOf(name: string): Work<NameAnswer | undefined> {
  const rows = yield* all(
    `SELECT c.claim, b.bundle FROM name_claims c JOIN bundles b ON b.digest = c.bundle
     WHERE c.name = :name ORDER BY c.version LIMIT :limit`,
    { name, limit: NAME_VERSIONS_MAX },
  );
  if (rows.length === 0) return undefined;
  const claims = rows.map((row) => ({
    claim: envelopeIn(row, 'claim'),
    owner: bundleIn(row, 'bundle'),
  }));
  return { name, claims };
}

/** One page of the names that are held, the oldest first. */
export function* namesOf(filter: NamesFilter, page: Page): Work<PageOf<NameSummary>> {
  const { owner } = filter;
  const rows = yield* all(
    `SELECT * FROM names WHERE seq > :cursor AND state = 'held'
     ${owner === undefined ? '' : 'AND owner = :owner'} ORDER BY seq LIMIT :limit + 1`,
    { ...page, ...(owner === undefined ? {} : { owner }) },
  );
  return pageOf(rows, page, (row) => {
    const { name, owner: holder, version } = holdingIn(row);
    return { name, owner: holder, version };
  });
}

function holdingIn(row: Row): Holding {
  const state = textIn(row, 'state');
  if (state !== 'held' && state !== 'released') throw new NameError('NAME_GAP', 'No such state.');
  return {
    name: textIn(row, 'name'),
    owner: textIn(row, 'owner'),
    version: numberIn(row, 'version'),
    digest: textIn(row, 'digest'),
    state,
  };
}
