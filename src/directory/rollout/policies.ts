import { type Envelope, parsePayload, untrustedPayload } from '../../identity/envelope.ts';
import { type UpdatePolicy, updatePolicySchema } from '../../rollout/spec.ts';
import { refuseOlderPolicy, type VerifiedPolicy } from '../../rollout/verify.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { envelopeIn, envelopeOf, numberIn, textIn } from '../sql/rows.ts';
import type { Carried } from '../store.ts';

/** The document of a farm's farmer, by the farm's id. */
export function* farmerOf(farm: string): Work<Envelope | undefined> {
  return envelopeOf(
    yield* one(
      `SELECT i.envelope FROM farms f JOIN identities i ON i.id = f.farmer WHERE f.id = :farm`,
      { farm },
    ),
  );
}

/** Takes a policy unless one as new is there: one statement, so none is ever rolled back. */
export function* putUpdatePolicy(
  transaction: Transaction,
  { value, envelope }: Carried<VerifiedPolicy>,
): Work<void> {
  const { farm, version } = value;
  const text = JSON.stringify(envelope);
  const changed = yield* run(
    `INSERT INTO update_policies (farm, version, envelope) VALUES (:farm, :version, :text)
     ON CONFLICT (farm) DO UPDATE SET version = excluded.version, envelope = excluded.envelope
       WHERE excluded.version > update_policies.version`,
    { farm, version, text },
  );
  if (changed === 0) {
    const held = yield* one('SELECT * FROM update_policies WHERE farm = :farm', { farm });
    if (held !== undefined && textIn(held, 'envelope') === text) return;
    refuseOlderPolicy(value, held === undefined ? 0 : numberIn(held, 'version'));
  }
  const nodes = yield* all('SELECT id FROM nodes WHERE farm = :farm', { farm });
  for (const row of nodes) transaction.touch(textIn(row, 'id'));
}

/** A farm's policy as it was signed, with its farmer's document. */
export function* carriedPolicyOf(
  farm: string | null,
): Work<{ policy: Envelope; farmer: Envelope } | undefined> {
  const row = yield* one(
    `SELECT p.envelope, i.envelope AS farmer FROM update_policies p
     JOIN farms f ON f.id = p.farm JOIN identities i ON i.id = f.farmer WHERE p.farm = :farm`,
    { farm },
  );
  if (row === undefined) return undefined;
  return { policy: envelopeIn(row, 'envelope'), farmer: envelopeIn(row, 'farmer') };
}

/** A farm's policy as it was checked when it was taken. */
export function* policyOf(farm: string): Work<UpdatePolicy | null> {
  const row = yield* one('SELECT envelope FROM update_policies WHERE farm = :farm', { farm });
  if (row === undefined) return null;
  return parsePayload(
    untrustedPayload(envelopeIn(row, 'envelope'), 'update-policy'),
    updatePolicySchema,
  );
}
