import type { Measurement } from '../../capacity/measured/spec.ts';
import { featureBits, unitMillis } from '../../capacity/search.ts';
import type { Capacity } from '../../capacity/spec.ts';
import type { Location } from '../../capacity/farm/terms.ts';
import { MICROS } from '../../capacity/units.ts';
import type { Heartbeat } from '../../contract/receipt.ts';
import type { NodeAnswer, Proof } from '../../sdk/api.ts';
import { all, one, type Row, type Values, type Work } from '../database/work.ts';
import { envelopeIn, jsonIn, numberIn, pageOf, textIn, textOrNullIn } from '../sql/rows.ts';
import type { CapacitySearch, Page, PageOf } from '../store.ts';
import { rankOf } from './table.ts';

/** A node's days, and those of the directory since the node's first. */
const UPTIME = `(SELECT CAST(SUM(u.heard) AS BIGINT) FROM uptime u WHERE u.seq = c.seq) AS heard,
  (SELECT CAST(SUM(u.said) AS BIGINT) FROM uptime u WHERE u.seq = c.seq) AS said,
  (SELECT CAST(SUM(u.early) AS BIGINT) FROM uptime u WHERE u.seq = c.seq) AS early,
  (SELECT CAST(SUM(d.windows) AS BIGINT) FROM directory_uptime d WHERE d.day >= c.since_day)
    AS windows,
  (SELECT MAX(u.last_window) FROM uptime u WHERE u.seq = c.seq) AS last_window,
  (SELECT MAX(d.last_window) FROM directory_uptime d) AS now_window`;

/** Everything about the nodes of the rows that `picked` names, in one read. */
function nodesIn(picked: string): string {
  return `SELECT n.*, i.envelope AS identity, h.last_seen_ms, h.payload, h.envelope, p.proof,
      m.envelope AS measured, m.measurement,
      t.location, c.cpu_millis - c.free_cpu_millis AS used_cpu_millis,
      c.memory_bytes - c.free_memory_bytes AS used_memory_bytes,
      c.ssd_bytes - c.free_ssd_bytes AS used_ssd_bytes,
      c.hdd_bytes - c.free_hdd_bytes AS used_hdd_bytes, ${UPTIME}
    FROM (${picked}) c JOIN nodes n ON n.seq = c.seq JOIN identities i ON i.id = n.id
    LEFT JOIN heartbeats h ON h.node = n.id LEFT JOIN proofs p ON p.node = n.id
    LEFT JOIN measurements m ON m.node = n.id LEFT JOIN farm_terms t ON t.farm = n.farm
    ORDER BY c.seq`;
}

/** One node as everybody sees it. */
export function* nodeOf(id: string): Work<NodeAnswer | undefined> {
  const picked = 'SELECT * FROM capacity WHERE seq = (SELECT seq FROM nodes WHERE id = :id)';
  const row = yield* one(nodesIn(picked), { id });
  return row === undefined ? undefined : nodeIn(row);
}

/** One page of all nodes, oldest first. */
export function* nodesOf(page: Page): Work<PageOf<NodeAnswer>> {
  const picked = 'SELECT * FROM capacity WHERE seq > :cursor ORDER BY seq LIMIT :limit + 1';
  return pageOf(yield* all(nodesIn(picked), page), page, nodeIn);
}

/** One page of the joined nodes that have what is asked for, oldest first. */
export function* searchNodes(
  search: CapacitySearch,
  page: Page,
  nowMs: number,
): Work<PageOf<NodeAnswer>> {
  const { where, values } = conditionsOf(search, nowMs);
  const picked = `SELECT * FROM capacity WHERE seq > :cursor AND farm IS NOT NULL
    ${where.map((condition) => `AND ${condition}`).join(' ')} ORDER BY seq LIMIT :limit + 1`;
  return pageOf(yield* all(nodesIn(picked), { ...page, ...values }), page, nodeIn);
}

/** What is not asked for stands in no condition, so that each way of asking is prepared once. */
function conditionsOf(
  search: CapacitySearch,
  nowMs: number,
): { readonly where: readonly string[]; readonly values: Values } {
  const where: string[] = [];
  const values: Record<string, string | number> = {};
  const add = (condition: string, more: Record<string, string | number>): void => {
    where.push(condition);
    Object.assign(values, more);
  };
  const { cpuMillis, memoryBytes, ssdBytes, hddBytes } = search;
  if (cpuMillis > 0) add('free_cpu_millis >= :cpuMillis', { cpuMillis });
  if (memoryBytes > 0) add('free_memory_bytes >= :memoryBytes', { memoryBytes });
  if (ssdBytes > 0) add('free_ssd_bytes >= :ssdBytes', { ssdBytes });
  if (hddBytes > 0) add('free_hdd_bytes >= :hddBytes', { hddBytes });
  if (search.country !== undefined) add('country = :country', { country: search.country });
  if (search.farm !== undefined) {
    add('farm = (SELECT seq FROM farms WHERE id = :farm)', { farm: search.farm });
  }
  if (search.class === 'attested') add('class = 0 AND proven_until_ms > :nowMs', { nowMs });
  else if (search.class !== undefined) add('class <= :class', { class: rankOf(search.class) });
  if (search.features.length > 0) {
    add('(features & :features) = :features', { features: featureBits(search.features) });
  }
  if (search.isOnline) add('online_until_ms > :onlineMs', { onlineMs: nowMs });
  if (search.hourMicrosMax !== undefined) {
    const { computeMillis, storageMillis } = unitMillis(search);
    add('compute_price * :computeMillis + storage_price * :storageMillis <= :most', {
      computeMillis,
      storageMillis,
      most: search.hourMicrosMax * (MICROS / 1000),
    });
  }
  return { where, values };
}

function nodeIn(row: Row): NodeAnswer {
  const farm = textOrNullIn(row, 'farm');
  const used = (column: string): number => Math.max(0, numberIn(row, column));
  return {
    id: textIn(row, 'id'),
    state: farm === null ? 'waiting-for-farmer' : 'joined',
    farm,
    location: row['location'] === null ? null : (jsonIn(row, 'location') as Location | null),
    identity: envelopeIn(row, 'identity'),
    offer: envelopeIn(row, 'offer'),
    offerId: textIn(row, 'offer_id'),
    capacity: jsonIn(row, 'capacity') as Capacity,
    used: {
      cpuMillis: used('used_cpu_millis'),
      memoryBytes: used('used_memory_bytes'),
      ssdBytes: used('used_ssd_bytes'),
      hddBytes: used('used_hdd_bytes'),
    },
    proof: proofIn(row),
    uptime: uptimeIn(row),
    measured:
      row['measured'] === null
        ? null
        : {
            envelope: envelopeIn(row, 'measured'),
            payload: jsonIn(row, 'measurement') as Measurement,
          },
    heartbeat:
      row['payload'] === null
        ? null
        : {
            lastSeenMs: numberIn(row, 'last_seen_ms'),
            envelope: envelopeIn(row, 'envelope'),
            payload: jsonIn(row, 'payload') as Heartbeat,
          },
  };
}

/** Windows of a sleep that lasts: it is nobody's fault, and no merit either. */
function sleptSince(row: Row): number {
  const isAsleep = row['payload'] !== null && (jsonIn(row, 'payload') as Heartbeat).isAsleep;
  if (isAsleep !== true || row['now_window'] === null) return 0;
  return Math.max(0, numberIn(row, 'now_window') - numberIn(row, 'last_window'));
}

/** Whoever was heard was there, so there are never fewer windows than that. */
function uptimeIn(row: Row): NodeAnswer['uptime'] {
  if (row['heard'] === null) return null;
  const heard = numberIn(row, 'heard');
  const due = row['windows'] === null ? 0 : numberIn(row, 'windows') - numberIn(row, 'early');
  const counted = due - sleptSince(row);
  const windows = Math.max(heard, counted);
  return { heard, said: Math.min(numberIn(row, 'said'), windows - heard), windows };
}

/** As long as the node still makes the offer that was proven. */
function proofIn(row: Row): Proof | null {
  if (row['proof'] === null) return null;
  const proof = jsonIn(row, 'proof') as Proof;
  return proof.offerId === row['offer_id'] ? proof : null;
}
