import type { Resources } from '../../capacity/spec.ts';
import type { Envelope } from '../../identity/envelope.ts';
import type { Page, PageOf } from '../store.ts';
import { abreast, one, type Row, type Values, type Work } from '../database/work.ts';

/** A column that the schema makes a text. */
export function textIn(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value;
  throw new TypeError(`column ${column} holds no text`);
}

/** A column that the schema makes an integer. */
export function numberIn(row: Row, column: string): number {
  const value = row[column];
  if (typeof value === 'number') return value;
  throw new TypeError(`column ${column} holds no number`);
}

/** A column that may be empty. */
export function textOrNullIn(row: Row, column: string): string | null {
  return row[column] === null ? null : textIn(row, column);
}

/** JSON that this store wrote itself. */
export function jsonIn(row: Row, column: string): unknown {
  return JSON.parse(textIn(row, column));
}

/** A column that holds an envelope. */
export function envelopeIn(row: Row, column: string): Envelope {
  return jsonIn(row, column) as Envelope;
}

/** The envelope of the row that was looked for, if there is one. */
export function envelopeOf(row: Row | undefined, column = 'envelope'): Envelope | undefined {
  return row === undefined ? undefined : envelopeIn(row, column);
}

/**
 * What the contracts that `where` picks have booked. Summed as floating point, for whole numbers
 * may overflow: a node can offer what it likes, and must not break the list for all.
 */
export function* bookedIn(where: string, values: Values): Work<Resources> {
  const sum = (column: string): string =>
    `COALESCE(SUM(CAST(${column} AS DOUBLE PRECISION)), 0) AS ${column}`;
  const columns = ['cpu_millis', 'memory_bytes', 'ssd_bytes', 'hdd_bytes'].map((column) =>
    sum(column),
  );
  const row = yield* one(
    `SELECT ${columns.join(', ')} FROM contracts WHERE is_booked = 1 AND ${where}`,
    values,
  );
  const booked = resourcesIn(row ?? {});
  return {
    cpuMillis: Math.min(booked.cpuMillis, Number.MAX_SAFE_INTEGER),
    memoryBytes: Math.min(booked.memoryBytes, Number.MAX_SAFE_INTEGER),
    ssdBytes: Math.min(booked.ssdBytes, Number.MAX_SAFE_INTEGER),
    hddBytes: Math.min(booked.hddBytes, Number.MAX_SAFE_INTEGER),
  };
}

type Crowd = { contractCount: number; tenantContractCount: number; envelopesBytes: number };

/** How many contracts and cancellations a node has, of everybody and of one tenant. */
export function* crowdOn({
  node,
  tenant,
  nowMs,
}: {
  node: string;
  tenant: string;
  nowMs: number;
}): Work<Crowd> {
  const [booked, cancelled] = yield* abreast(
    one(
      `SELECT COUNT(*) AS count, COUNT(*) FILTER (WHERE tenant = :tenant) AS own,
         CAST(COALESCE(SUM(envelopes_bytes), 0) AS BIGINT) AS bytes
       FROM contracts WHERE is_booked = 1 AND node = :node`,
      { node, tenant },
    ),
    one(
      `SELECT COUNT(*) AS count, COUNT(*) FILTER (WHERE tenant = :tenant) AS own
       FROM cancellations WHERE node = :node AND not_after_ms > :nowMs`,
      { node, tenant, nowMs },
    ),
  );
  return {
    contractCount: numberIn(booked ?? {}, 'count') + numberIn(cancelled ?? {}, 'count'),
    tenantContractCount: numberIn(booked ?? {}, 'own') + numberIn(cancelled ?? {}, 'own'),
    envelopesBytes: numberIn(booked ?? {}, 'bytes'),
  };
}

/** The four columns of what a contract has booked. */
export function resourcesIn(row: Row): Resources {
  return {
    cpuMillis: numberIn(row, 'cpu_millis'),
    memoryBytes: numberIn(row, 'memory_bytes'),
    ssdBytes: numberIn(row, 'ssd_bytes'),
    hddBytes: numberIn(row, 'hdd_bytes'),
  };
}

/** A page out of rows that were asked for one more than it holds, in the order of `seq`. */
export function pageOf<T>(rows: readonly Row[], page: Page, read: (row: Row) => T): PageOf<T> {
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  const next = rows.length > page.limit && last !== undefined ? numberIn(last, 'seq') : null;
  return { items: shown.map(read), next };
}
