import type { Offer } from '../../capacity/spec.ts';
import type { Heartbeat } from '../../contract/receipt.ts';
import { type Farm, FarmError, type Named } from '../../identity/farm.ts';
import type { FarmAnswer } from '../../sdk/api.ts';
import type { Registration } from '../../sdk/registration.ts';
import { RefusedError } from '../errors.ts';
import { followTurns } from '../rollout/turns.ts';
import type { Carried, NodeEntry, Page, PageOf } from '../store.ts';
import { indexOffer, placeNodes } from '../capacity/table.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Row, type Work } from '../database/work.ts';
import { recordOf } from '../record/append.ts';
import { putIdentity, refuseOld } from '../identity/identities.ts';
import { envelopeIn, numberIn, pageOf, textIn, textOrNullIn } from './rows.ts';

/** Keeps a farm under its hash. */
export function* putFarm(
  transaction: Transaction,
  { value, envelope }: Carried<Named<Farm>>,
): Work<void> {
  const { id, farmer, name } = value;
  yield* run(
    `INSERT INTO farms (id, farmer, name, envelope) VALUES (:id, :farmer, :name, :envelope)
     ON CONFLICT DO NOTHING`,
    { id, farmer, name, envelope: JSON.stringify(envelope) },
  );
  transaction.record(recordOf(envelope));
}

/** One page of all farms, oldest first. */
export function* farmsOf(page: Page): Work<PageOf<FarmAnswer>> {
  const rows = yield* all(`${FARMS} WHERE f.seq > :cursor ORDER BY f.seq LIMIT :limit + 1`, page);
  return pageOf(rows, page, farmIn);
}

/** One farm by its id. */
export function* farmOf(id: string): Work<FarmAnswer | undefined> {
  const row = yield* one(`${FARMS} WHERE f.id = :id`, { id });
  return row === undefined ? undefined : farmIn(row);
}

const FARMS = `SELECT f.*, t.envelope AS terms FROM farms f
  LEFT JOIN farm_terms t ON t.farm = f.id`;

function farmIn(row: Row): FarmAnswer {
  return {
    id: textIn(row, 'id'),
    name: textIn(row, 'name'),
    farmer: textIn(row, 'farmer'),
    farm: envelopeIn(row, 'envelope'),
    terms: row['terms'] === null ? null : envelopeIn(row, 'terms'),
  };
}

/** Registers a node, or takes its newer offer; a token counts once, for the node that used it. */
export function* registerNode(transaction: Transaction, entry: NodeEntry): Work<Registration> {
  const { id } = entry.identity.value;
  const before = yield* one('SELECT * FROM nodes WHERE id = :id', { id });
  yield* putIdentity(transaction, entry.identity, entry.nowMs);
  const farm = yield* claimFarm(entry, before);
  if (before === undefined || isNewer(before, entry.offer.value)) {
    yield* putNode(farm, entry.offer);
    transaction.record(recordOf(entry.offer.envelope));
    transaction.touch(id);
  } else if (farm !== before['farm']) {
    yield* run('UPDATE nodes SET farm = :farm WHERE id = :id', { farm, id });
    yield* placeNodes({ node: id });
  }
  return { id, state: farm === null ? 'waiting-for-farmer' : 'joined', farm };
}

function* claimFarm(entry: NodeEntry, before: Row | undefined): Work<string | null> {
  const joined = before === undefined ? null : textOrNullIn(before, 'farm');
  const { token, nowMs } = entry;
  if (token === null) return joined;
  const node = entry.identity.value.id;
  const farm = yield* one('SELECT farmer FROM farms WHERE id = :farm', { farm: token.farm });
  if (farm === undefined) {
    throw new RefusedError('FARM_UNKNOWN', 'No such farm is registered; create it first.');
  }
  if (farm['farmer'] !== token.farmer) {
    throw new FarmError('TOKEN_FOREIGN', 'This join token is not by the farmer of its farm.');
  }
  const used = yield* one('SELECT node FROM tokens WHERE id = :id', { id: token.id });
  if (used !== undefined && used['node'] !== node) {
    throw new RefusedError(
      'TOKEN_USED',
      'Another node joined with this token; ask the farmer for boot media of its own.',
    );
  }
  if (joined !== null && joined !== token.farm) {
    throw new RefusedError('NODE_IN_OTHER_FARM', 'This node has joined another farm already.');
  }
  if (used !== undefined) return token.farm;
  // Media stay good for the node that used them; for another, only with the farmer's keys of now.
  if (entry.farmer !== null) yield* refuseOld(entry.farmer, nowMs);
  if (nowMs >= token.notAfterMs) {
    throw new FarmError('TOKEN_EXPIRED', 'This join token is past its end; ask for new media.');
  }
  yield* run('INSERT INTO tokens (id, node) VALUES (:id, :node)', { id: token.id, node });
  return token.farm;
}

function isNewer(before: Row, offer: Named<Offer>): boolean {
  if (before['offer_id'] === offer.id) return false;
  const version = numberIn(before, 'offer_version');
  if (offer.version > version) return true;
  throw new RefusedError(
    'OFFER_OLD',
    `The directory has offer version ${version} of this node; sign a later one.`,
    { facts: { version } },
  );
}

function* putNode(farm: string | null, offer: Carried<Named<Offer>>): Work<void> {
  const { value, envelope } = offer;
  yield* run(
    `INSERT INTO nodes (id, farm, offer_id, offer_version, offer, capacity, prices, class,
       terms_version)
     VALUES (:id, :farm, :offerId, :version, :offer, :capacity, :prices, :class, :termsVersion)
     ON CONFLICT (id) DO UPDATE SET farm = excluded.farm, offer_id = excluded.offer_id,
       offer_version = excluded.offer_version, offer = excluded.offer,
       capacity = excluded.capacity, prices = excluded.prices, class = excluded.class,
       terms_version = excluded.terms_version`,
    {
      id: value.node,
      farm,
      offerId: value.id,
      version: value.version,
      offer: JSON.stringify(envelope),
      capacity: JSON.stringify(value.capacity),
      prices: JSON.stringify(value.prices),
      class: value.class,
      termsVersion: value.termsVersion,
    },
  );
  yield* indexOffer(value);
}

/** Whether there are entries for a node that it has not said it saw: it is shown them again. */
function* isBehind(id: string, seq: number): Work<boolean> {
  const row = yield* one('SELECT 1 FROM nodes WHERE id = :id AND record_seq > :seq', { id, seq });
  return row !== undefined;
}

/** Takes a sign of life unless a later one is there: one statement, so none is ever undone. */
export function* putHeartbeat(
  transaction: Transaction,
  heartbeat: Carried<Heartbeat>,
  nowMs: number,
): Work<void> {
  const { node, seq, record } = heartbeat.value;
  const changed = yield* run(
    `INSERT INTO heartbeats (node, seq, last_seen_ms, payload, envelope)
     SELECT :node, :seq, :nowMs, :payload, :envelope FROM nodes WHERE id = :node
     ON CONFLICT (node) DO UPDATE SET seq = excluded.seq, last_seen_ms = excluded.last_seen_ms,
       payload = excluded.payload, envelope = excluded.envelope
     WHERE excluded.seq > heartbeats.seq`,
    {
      node,
      seq,
      nowMs,
      payload: JSON.stringify(heartbeat.value),
      envelope: JSON.stringify(heartbeat.envelope),
    },
  );
  if (changed > 0) {
    yield* followTurns(heartbeat.value, nowMs);
    if (record !== undefined && (yield* isBehind(node, record.seq))) transaction.touch(node);
    return;
  }
  const newest = yield* one('SELECT seq FROM heartbeats WHERE node = :node', { node });
  if (newest === undefined) throw new RefusedError('NODE_UNKNOWN', 'Register the node first.');
  throw new RefusedError('HEARTBEAT_OLD', 'A later heartbeat of this node is here already.', {
    facts: { seq: numberIn(newest, 'seq') },
  });
}
