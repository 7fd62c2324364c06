import type { Query } from '../../host/net/postgres.ts';
import { SCHEMA } from './schema.ts';
import { checkValues, type Statement } from './work.ts';

type Translated = { readonly name: string; readonly text: string; readonly names: string[] };

/** Statements as PostgreSQL takes them: `:names` are numbers, and each text is prepared once. */
export function openDialect(): (statement: Statement) => Query {
  // The texts are those of the store code: a fixed number, none made of what anybody sent.
  const translated = new Map<string, Translated>();
  return ({ text, values }) => {
    checkValues(values);
    let known = translated.get(text);
    if (known === undefined) {
      known = translate(text, `s${translated.size}`);
      translated.set(text, known);
    }
    return {
      name: known.name,
      text: known.text,
      values: known.names.map((name) => values[name] ?? null),
    };
  };
}

function translate(text: string, name: string): Translated {
  const names: string[] = [];
  const numbered = text.replaceAll(/(?<!:):([a-z]\w*)/giu, (_, found: string) => {
    if (!names.includes(found)) names.push(found);
    return `$${names.indexOf(found) + 1}`;
  });
  return { name, text: numbered, names };
}

/** The tables as PostgreSQL makes them. */
export function postgresSchema(): string {
  return (
    SCHEMA.replaceAll('INTEGER PRIMARY KEY AUTOINCREMENT', 'BIGSERIAL PRIMARY KEY')
      .replaceAll(/\bINTEGER\b/gu, 'BIGINT')
      .replaceAll(/\bREAL\b/gu, 'DOUBLE PRECISION')
      .replaceAll(/\bBLOB\b/gu, 'BYTEA')
      .replaceAll(/\)\s*STRICT(?:,\s*WITHOUT ROWID)?;/gu, ');')
      // Ids are hex and compared byte by byte, as SQLite does: pages have one order in both.
      .replaceAll(/\bTEXT\b/gu, 'TEXT COLLATE "C"')
  );
}
