import type { IdentityBundle } from '../../identity/bundle.ts';
import { type Envelope, parsePayload, untrustedPayload } from '../../identity/envelope.ts';
import { type UpdatePolicy, updatePolicySchema } from '../../rollout/spec.ts';
import { refuseOlderPolicy, type VerifiedPolicy } from '../../rollout/verify.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { bundleIn, identityOf, keepBundle } from '../identity/identities.ts';
import { envelopeIn, numberIn, textIn } from '../sql/rows.ts';
import type { Carried } from '../store.ts';

/** A farm's farmer as they stand now, by the farm's id. */
export function* farmerOf(farm: string): Work<IdentityBundle | undefined> {
  const row = yield* one('SELECT farmer FROM farms WHERE id = :farm', { farm });
  return row === undefined ? undefined : yield* identityOf(textIn(row, 'farmer'));
}

/** Takes a policy unless one as new is there: one statement, so none is ever rolled back. */
export function* putUpdatePolicy(
  transaction: Transaction,
  { value, envelope }: Carried<VerifiedPolicy>,
  farmer: IdentityBundle,
): Work<void> {
  const { farm, version } = value;
  const text = JSON.stringify(envelope);
  const changed = yield* run(
    `INSERT INTO update_policies (farm, version, bundle, envelope)
     VALUES (:farm, :version, :bundle, :text)
     ON CONFLICT (farm) DO UPDATE SET version = excluded.version, bundle = excluded.bundle,
       envelope = excluded.envelope
       WHERE excluded.version > update_policies.version`,
    { farm, version, bundle: yield* keepBundle(farmer), text },
  );
  if (changed === 0) {
    const held = yield* one('SELECT * FROM update_policies WHERE farm = :farm', { farm });
    if (held !== undefined && textIn(held, 'envelope') === text) return;
    refuseOlderPolicy(value, held === undefined ? 0 : numberIn(held, 'version'));
  }
  const nodes = yield* all('SELECT id FROM nodes WHERE farm = :farm', { farm });
  for (const row of nodes) transaction.touch(textIn(row, 'id'));
}

/** A farm's policy as it was signed, with its farmer's identity of then. */
export function* carriedPolicyOf(
  farm: string | null,
): Work<{ policy: Envelope; farmer: IdentityBundle } | undefined> {
  const row = yield* one(
    `SELECT p.envelope, b.bundle AS farmer FROM update_policies p
     JOIN bundles b ON b.digest = p.bundle WHERE p.farm = :farm`,
    { farm },
  );
  if (row === undefined) return undefined;
  return { policy: envelopeIn(row, 'envelope'), farmer: bundleIn(row, 'farmer') };
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
