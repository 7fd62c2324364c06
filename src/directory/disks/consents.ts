import { CONSENTS_MAX, type VerifiedConsent } from '../../disk/consent.ts';
import type { Wants } from '../../contract/wants.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import { RefusedError } from '../errors.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { bundleIn, keepBundle } from '../identity/identities.ts';
import { envelopeIn } from '../sql/rows.ts';
import type { Carried } from '../store.ts';

/**
 * Keeps a farmer's word on a disk for its node until it ends. Who can write here can hide one or
 * show it again: the node does each once, and only what the farmer signed.
 */
export function* putConsent(
  transaction: Transaction,
  { value, envelope }: Carried<VerifiedConsent>,
  { farmer, nowMs }: { readonly farmer: IdentityBundle; readonly nowMs: number },
): Work<void> {
  const { id, node, farm, notAfterMs } = value;
  yield* run('DELETE FROM disk_consents WHERE until_ms <= :nowMs', { nowMs });
  const joined = yield* one('SELECT farm FROM nodes WHERE id = :node', { node });
  if (joined === undefined) throw new RefusedError('NODE_UNKNOWN', 'No such node is registered.');
  if (joined['farm'] !== farm) {
    throw new RefusedError('NODE_IN_OTHER_FARM', 'This node is in another farm than this one.');
  }
  const open = yield* all('SELECT id FROM disk_consents WHERE node = :node', { node });
  if (open.length >= CONSENTS_MAX) {
    throw new RefusedError('NODE_CROWDED', 'This node has too many open consents; wait for them.');
  }
  yield* run(
    `INSERT INTO disk_consents (id, node, until_ms, bundle, envelope)
     VALUES (:id, :node, :notAfterMs, :bundle, :text) ON CONFLICT DO NOTHING`,
    { id, node, notAfterMs, bundle: yield* keepBundle(farmer), text: JSON.stringify(envelope) },
  );
  transaction.touch(node);
}

/** What the farmer signed about a node's disks, as far as it holds still. */
export function* consentsFor(node: string, nowMs: number): Work<Pick<Wants, 'diskConsents'>> {
  const rows = yield* all(
    `SELECT c.envelope, b.bundle AS farmer FROM disk_consents c
     JOIN bundles b ON b.digest = c.bundle
     WHERE c.node = :node AND c.until_ms > :nowMs ORDER BY c.id LIMIT ${CONSENTS_MAX}`,
    { node, nowMs },
  );
  if (rows.length === 0) return {};
  return {
    diskConsents: rows.map((row) => ({
      consent: envelopeIn(row, 'envelope'),
      farmer: bundleIn(row, 'farmer'),
    })),
  };
}
