import { refuseOlderTerms, type VerifiedTerms } from '../../capacity/farm/terms.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { recordOf } from '../record/append.ts';
import { bundleIn, keepBundle } from '../identity/identities.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { envelopeIn, numberIn, textIn } from '../sql/rows.ts';
import type { Carried } from '../store.ts';
import { placeNodes } from './table.ts';

/** Takes terms unless some as new are there, and wakes the nodes that have to ask by them. */
export function* putTerms(
  transaction: Transaction,
  { value, envelope }: Carried<VerifiedTerms>,
  farmer: IdentityBundle,
): Work<void> {
  const { farm, version, location } = value;
  const text = JSON.stringify(envelope);
  const changed = yield* run(
    `INSERT INTO farm_terms (farm, version, country, location, bundle, envelope)
     VALUES (:farm, :version, :country, :location, :bundle, :text)
     ON CONFLICT (farm) DO UPDATE SET version = excluded.version, country = excluded.country,
       location = excluded.location, bundle = excluded.bundle, envelope = excluded.envelope
     WHERE excluded.version > farm_terms.version`,
    {
      farm,
      version,
      country: location?.country ?? '',
      location: JSON.stringify(location),
      bundle: yield* keepBundle(farmer),
      text,
    },
  );
  if (changed === 0) {
    const held = yield* one('SELECT * FROM farm_terms WHERE farm = :farm', { farm });
    if (held !== undefined && textIn(held, 'envelope') === text) return;
    refuseOlderTerms(value, held === undefined ? 0 : numberIn(held, 'version'));
  }
  transaction.record(recordOf(envelope));
  yield* placeNodes({ farm });
  const nodes = yield* all('SELECT id FROM nodes WHERE farm = :farm', { farm });
  for (const row of nodes) transaction.touch(textIn(row, 'id'));
}

/** A farm's terms as they were signed, with its farmer's identity of then. */
export function* carriedTermsOf(
  farm: string | null,
): Work<{ terms: Envelope; farmer: IdentityBundle } | undefined> {
  const row = yield* one(
    `SELECT t.envelope, b.bundle AS farmer FROM farm_terms t
     JOIN bundles b ON b.digest = t.bundle WHERE t.farm = :farm`,
    { farm },
  );
  if (row === undefined) return undefined;
  return { terms: envelopeIn(row, 'envelope'), farmer: bundleIn(row, 'farmer') };
}

/** The version of the terms that a farm's nodes have to ask by; 0 before there are any. */
export function* termsVersionOf(farm: string | null): Work<number> {
  const row = yield* one('SELECT version FROM farm_terms WHERE farm = :farm', { farm });
  return row === undefined ? 0 : numberIn(row, 'version');
}
