import { SCHEMA } from '../database/schema.ts';
import { all, run, type Row, type Statement, together, type Work } from '../database/work.ts';

/** A table, and the columns by which its rows are told apart. */
export type Table = { readonly name: string; readonly key: readonly string[] };

const ROWS_AT_ONCE = 500;

/** Every table but the one that names the grid, out of the schema itself: none is forgotten. */
export function tablesOf(schema: string): Table[] {
  const found = schema.matchAll(/CREATE TABLE (?<name>\w+) \((?<body>.*?)\) STRICT/gsu);
  return [...found].flatMap(({ groups }) => {
    const { name = '', body = '' } = groups ?? {};
    const several = /^\s*PRIMARY KEY \((?<key>[^)]+)\)/mu.exec(body)?.groups?.['key'];
    const single = /(?<key>\w+) \w+ PRIMARY KEY/u.exec(body)?.groups?.['key'];
    const key = (several ?? single)?.split(/,\s*/u);
    if (key !== undefined) return [{ name, key }];
    if (name === 'grid') return [];
    throw new TypeError(`table ${name} has no key`);
  });
}

/** Reads every row of every table, in the order of their keys, as of one moment. */
export function* dump(take: (table: string, row: Row) => void): Work<void> {
  for (const { name, key } of tablesOf(SCHEMA)) {
    const columns = key.join(', ');
    const after = key.map((_, at) => `:k${at}`).join(', ');
    const tail = `ORDER BY ${columns} LIMIT ${ROWS_AT_ONCE}`;
    let rows = yield* all(`SELECT * FROM ${name} ${tail}`);
    for (;;) {
      for (const row of rows) take(name, row);
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS_AT_ONCE) break;
      const values = Object.fromEntries(key.map((column, at) => [`k${at}`, valueIn(last, column)]));
      rows = yield* all(`SELECT * FROM ${name} WHERE (${columns}) > (${after}) ${tail}`, values);
    }
  }
}

/** Whether nothing was ever kept in this database. */
export function* isEmpty(): Work<boolean> {
  for (const { name } of tablesOf(SCHEMA)) {
    const rows = yield* all(`SELECT 1 AS here FROM ${name} LIMIT 1`);
    if (rows.length > 0) return false;
  }
  return true;
}

/** Writes rows into an empty database. */
export function* load(rows: Iterable<{ readonly table: string; readonly row: Row }>): Work<number> {
  let count = 0;
  let waiting: Statement[] = [];
  for (const { table, row } of rows) {
    waiting.push(insertOf(table, row));
    count += 1;
    if (waiting.length < ROWS_AT_ONCE) continue;
    yield* together(...waiting);
    waiting = [];
  }
  if (waiting.length > 0) yield* together(...waiting);
  return count;
}

/** On PostgreSQL numbers are given on from where the rows end; SQLite sees that by itself. */
export function* alignNumbers(): Work<void> {
  for (const [, name = ''] of SCHEMA.matchAll(/CREATE TABLE (\w+) \(\s*seq [^,]*AUTOINCREMENT/gu)) {
    yield* run(
      `SELECT setval(pg_get_serial_sequence('${name}', 'seq'), MAX(seq)) FROM ${name}
       HAVING MAX(seq) IS NOT NULL`,
    );
  }
}

function insertOf(table: string, row: Row): Statement {
  const columns = Object.keys(row);
  const values = Object.fromEntries(columns.map((column) => [column, valueIn(row, column)]));
  const names = columns.map((column) => `:${column}`).join(', ');
  return { text: `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${names})`, values };
}

function valueIn(row: Row, column: string): string | number | null {
  const value = row[column];
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  throw new TypeError(`column ${column} holds neither text nor number`);
}
