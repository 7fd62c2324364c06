import { bundleOf, type IdentityBundle, partsOf } from '../../identity/bundle.ts';
import type { Identity } from '../../identity/document.ts';
import { type KnownLink, linksAfter, succeed } from '../../identity/succession.ts';
import { sha256Hex, utf8 } from '../../lib/bytes.ts';
import type { Transaction } from '../database/database.ts';
import { one, run, type Row, type Work } from '../database/work.ts';
import { recordOf } from '../record/append.ts';
import type { CarriedIdentity } from '../store.ts';
import { jsonIn, textIn } from '../sql/rows.ts';

/**
 * Takes an identity, or what is new of it, and puts that on the record; a team's members with it.
 * Throws `IdentityError` for one that is older than what is known, or parts from it without right.
 */
export function* putIdentity(
  transaction: Transaction,
  { value, envelope }: CarriedIdentity,
  nowMs: number,
): Work<void> {
  const { chain, members } = partsOf(envelope);
  for (const [at, member] of value.members.entries()) {
    const carried = { value: member, envelope: members[at] as IdentityBundle };
    yield* putIdentity(transaction, carried, nowMs);
  }
  const known = yield* knownLinks(value.id);
  const succession = succeed(known, value, nowMs);
  if (succession.added.length === 0) return;
  const links = linksAfter(known, succession, nowMs);
  yield* run(
    `INSERT INTO identities (id, envelope, members, links)
     VALUES (:id, :envelope, :members, :links)
     ON CONFLICT (id) DO UPDATE SET envelope = excluded.envelope, members = excluded.members,
       links = excluded.links`,
    {
      id: value.id,
      envelope: JSON.stringify(bundleOf(chain)),
      members: JSON.stringify(value.members.map(({ id }) => id)),
      links: JSON.stringify(links),
    },
  );
  for (const document of chain.slice(chain.length - succession.added.length)) {
    transaction.record(recordOf(document));
  }
}

/** Refuses somebody whose identity has changed since; one that is not known yet is not refused. */
export function* refuseOld(identity: Identity, nowMs: number): Work<void> {
  for (const member of identity.members) yield* refuseOld(member, nowMs);
  succeed(yield* knownLinks(identity.id), identity, nowMs);
}

/**
 * Keeps a bundle as something was signed under it, and says its name: what was signed then has to
 * be read with the keys of then. Everything that one state of an identity signed shares one row.
 */
export function* keepBundle(bundle: IdentityBundle): Work<string> {
  const text = JSON.stringify(bundle);
  const digest = sha256Hex(utf8(text));
  yield* run(
    'INSERT INTO bundles (digest, bundle) VALUES (:digest, :text) ON CONFLICT (digest) DO NOTHING',
    { digest, text },
  );
  return digest;
}

/** Somebody's identity as it stands now, a team with its members as they stand now. */
export function* identityOf(id: string): Work<IdentityBundle | undefined> {
  const row = yield* one('SELECT envelope, members FROM identities WHERE id = :id', { id });
  if (row === undefined) return undefined;
  const { chain } = partsOf(bundleIn(row, 'envelope'));
  const members = jsonIn(row, 'members') as string[];
  if (members.length === 0) return bundleOf(chain);
  const bundles: IdentityBundle[] = [];
  for (const member of members) bundles.push((yield* identityOf(member)) as IdentityBundle);
  return bundleOf(chain, bundles);
}

/** A column that holds a bundle. */
export function bundleIn(row: Row, column: string): IdentityBundle {
  return jsonIn(row, column) as IdentityBundle;
}

function* knownLinks(id: string): Work<KnownLink[]> {
  const row = yield* one('SELECT links FROM identities WHERE id = :id', { id });
  return row === undefined ? [] : (JSON.parse(textIn(row, 'links')) as KnownLink[]);
}
