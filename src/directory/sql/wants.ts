import type { Heartbeat } from '../../contract/receipt.ts';
import { PASSED_MAX, type Wants } from '../../contract/wants.ts';
import { payloadTypeOf } from '../../identity/envelope.ts';
import { KiB, MiB } from '../../lib/units.ts';
import { abreast, all, one, type Row, type Work } from '../database/work.ts';
import { consentsFor } from '../disks/consents.ts';
import { carriedTermsOf } from '../capacity/terms.ts';
import { entryIn, publishedHead } from '../record/head.ts';
import type { Place, PlacedWants } from '../record/proofs.ts';
import { carriedPolicyOf } from '../rollout/policies.ts';
import { bundleIn } from '../identity/identities.ts';
import { envelopeIn, jsonIn, numberIn, textIn, textOrNullIn } from './rows.ts';

const QUESTIONS_MAX = 256;
const CANCELLATIONS_MAX = 4096;
const PEERS_MAX = 4096;
/** What peers may say is bounded in all, for a node's feed has to stay readable. */
const PEER_RECEIPT_BYTES_MAX = 32 * KiB;
const PEERS_BYTES_MAX = 8 * MiB;

/** The number that grows with every change of a node's wants. */
export function* revisionOf(node: string): Work<number | undefined> {
  const row = yield* one('SELECT revision FROM nodes WHERE id = :node', { node });
  return row === undefined ? undefined : numberIn(row, 'revision');
}

/** Everything that a node shall have, as the books stand now. */
export function* wantsOf(node: string, nowMs: number): Work<PlacedWants | undefined> {
  // Side by side, in three ways to the database: thousands of nodes wait for this.
  const [revision, published, seen, words, peers, questions] = yield* abreast(
    revisionOf(node),
    publishedHead(),
    seenSeqOf(node),
    wordsFor(node, nowMs),
    peersOf(node),
    questionsOf(node, nowMs),
  );
  if (revision === undefined) return undefined;
  const [contracts, cancellations] = yield* abreast(
    contractsOf(node, published.size),
    cancellationsOf(node, seen, nowMs),
  );
  return {
    revision,
    published,
    contracts,
    cancellations,
    passed: yield* passedOf({
      node,
      seen,
      size: published.size,
      carried: [...contracts, ...cancellations],
    }),
    peers,
    ...words,
    questions,
  };
}

/** Those of contracts that still might run, and those that the node has not said it saw. */
function* cancellationsOf(
  node: string,
  seen: number,
  nowMs: number,
): Work<PlacedWants['cancellations']> {
  const rows = yield* all(
    `SELECT c.envelope, b.bundle AS tenant, r.idx, r.seq FROM cancellations c
     JOIN bundles b ON b.digest = c.bundle
     JOIN record_entries r ON r.digest = c.digest AND r.payload_type = :type
     WHERE c.node = :node AND (c.not_after_ms > :nowMs OR r.seq > :seen)
     ORDER BY r.seq LIMIT :limit`,
    { node, nowMs, seen, type: payloadTypeOf('cancellation'), limit: CANCELLATIONS_MAX },
  );
  return rows.map((row) => ({
    cancellation: envelopeIn(row, 'envelope'),
    tenant: bundleIn(row, 'tenant'),
    ...placeIn(row),
  }));
}

function placeIn(row: Row): Place {
  return { seq: numberIn(row, 'seq'), index: numberIn(row, 'idx') };
}

type Passed = {
  readonly node: string;
  readonly seen: number;
  readonly size: number;
  readonly carried: readonly Place[];
};

/**
 * The published entries for a node after those that its heartbeats name, without what its wants
 * carry anyway: the node sees every number, and so that none is withheld.
 */
function* passedOf({ carried, ...after }: Passed): Work<PlacedWants['passed']> {
  const rows = yield* all(
    `SELECT * FROM record_entries WHERE node = :node AND seq > :seen AND idx < :size
     ORDER BY seq LIMIT :limit`,
    { ...after, limit: PASSED_MAX + carried.length },
  );
  const indices = new Set(carried.map(({ index }) => index));
  return rows
    .filter((row) => !indices.has(numberIn(row, 'idx')))
    .slice(0, PASSED_MAX)
    .map((row) => ({ entry: entryIn(row), index: numberIn(row, 'idx') }));
}

/** The number up to which a node says that it has seen every entry that is for it. */
function* seenSeqOf(node: string): Work<number> {
  const row = yield* one('SELECT payload FROM heartbeats WHERE node = :node', { node });
  if (row === undefined) return 0;
  return (jsonIn(row, 'payload') as Heartbeat).record?.seq ?? 0;
}

function* questionsOf(node: string, nowMs: number): Work<Wants['questions']> {
  const rows = yield* all(
    `SELECT q.envelope, q.bundle AS tenant FROM questions q
     WHERE q.node = :node AND q.until_ms > :nowMs AND q.answer IS NULL
     ORDER BY q.until_ms LIMIT :limit`,
    { node, nowMs, limit: QUESTIONS_MAX },
  );
  return rows.map((row) => ({
    question: envelopeIn(row, 'envelope'),
    tenant: bundleIn(row, 'tenant'),
  }));
}

/** What the node's farmer signed for it. */
type Words = Pick<Wants, 'updatePolicy' | 'farmTerms' | 'diskConsents'>;

function* wordsFor(node: string, nowMs: number): Work<Words> {
  const row = yield* one('SELECT farm FROM nodes WHERE id = :node', { node });
  const farm = row === undefined ? null : textOrNullIn(row, 'farm');
  const [updatePolicy, farmTerms, consents] = yield* abreast(
    carriedPolicyOf(farm),
    carriedTermsOf(farm),
    consentsFor(node, nowMs),
  );
  return {
    ...consents,
    ...(updatePolicy === undefined ? {} : { updatePolicy }),
    ...(farmTerms === undefined ? {} : { farmTerms }),
  };
}

/**
 * The version that the node holds, to start from, and the one that waits for its word: that also
 * when it was cancelled meanwhile, for only who saw it can say that it is over.
 */
function* contractsOf(node: string, size: number): Work<PlacedWants['contracts']> {
  const rows = yield* all(
    `SELECT v.envelope, u.bundle AS tenant, b.body, r.idx, r.seq FROM contracts c
     JOIN versions v ON v.digest IN (c.held, c.pending)
     LEFT JOIN bodies b ON b.version = v.digest
     JOIN bundles u ON u.digest = v.bundle
     JOIN record_entries r ON r.digest = v.digest AND r.payload_type = :type
     WHERE c.node = :node AND c.is_booked = 1 AND (c.is_live = 1 OR c.pending IS NOT NULL)
       AND r.idx < :size
     ORDER BY c.seq, v.version`,
    { node, size, type: payloadTypeOf('contract') },
  );
  return rows.map((row) => ({
    contract: envelopeIn(row, 'envelope'),
    tenant: bundleIn(row, 'tenant'),
    ...(row['body'] === null ? {} : { body: textIn(row, 'body') }),
    ...placeIn(row),
  }));
}

const PEERS_AT_ONCE = 256;
const PEERS = `SELECT DISTINCT r.contract, r.envelope, i.envelope AS node FROM contracts mine
  JOIN znet_peers named ON named.digest IN (mine.held, mine.pending)
  JOIN znet_ends e ON e.znet = named.znet AND e.node = named.peer
  JOIN contracts theirs ON theirs.id = e.contract AND theirs.tenant = mine.tenant
    AND theirs.is_booked = 1
  JOIN receipts r ON r.contract = theirs.id
  JOIN identities i ON i.id = named.peer
  WHERE mine.node = :node AND mine.is_booked = 1 AND mine.is_live = 1
    AND r.contract > :after AND LENGTH(r.envelope) <= :bytesMax
  ORDER BY r.contract LIMIT ${PEERS_AT_ONCE}`;

/**
 * Receipts of the nodes that this node's live contracts name as peers, where they hold an end of
 * that znet. Its id is a hash over its tenant, and the receipt's contract has to be the same
 * tenant's: no node can put itself forward as the peer of a stranger.
 */
function* peersOf(node: string): Work<Wants['peers']> {
  const peers: Wants['peers'] = [];
  let lengthBytes = 0;
  let after = '';
  while (peers.length < PEERS_MAX) {
    const rows = yield* all(PEERS, { node, after, bytesMax: PEER_RECEIPT_BYTES_MAX });
    for (const row of rows) {
      lengthBytes += textIn(row, 'envelope').length + textIn(row, 'node').length;
      if (lengthBytes > PEERS_BYTES_MAX) return peers;
      peers.push({ receipt: envelopeIn(row, 'envelope'), node: envelopeIn(row, 'node') });
      after = textIn(row, 'contract');
    }
    if (rows.length < PEERS_AT_ONCE) return peers;
  }
  return peers;
}
