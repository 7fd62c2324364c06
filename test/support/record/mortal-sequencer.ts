/**
 * A directory's store and record in a process of their own, which writes on and on, tells each
 * thing that was accepted once that is durable, and dies at the n-th step that it takes.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Database } from '../../../src/directory/database/database.ts';
import { run } from '../../../src/directory/database/work.ts';
import { openIdentity } from '../../../src/directory/keys.ts';
import { recordOf } from '../../../src/directory/record/append.ts';
import { type Gate, makeGate } from '../../../src/directory/record/gate.ts';
import type { Envelope } from '../../../src/identity/envelope.ts';
import { sha256Hex, toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { openKeptDatabase } from './kept-database.ts';
import { openTestRecord } from './directory-record.ts';

const WRITERS = 4;
const PAUSE_MS = 2;
const NODE = 'ab'.repeat(32);

export type MortalWish = {
  /** A folder for keys and tiles, and for the database where that is a file. */
  readonly folder: string;
  /** Of a PostgreSQL, or none. */
  readonly url: string | null;
  readonly witnesses: readonly string[];
  /** A name that no life before had. */
  readonly life: number;
  /** The step at which it dies; `null` leaves it to others. */
  readonly step: number | null;
};

const { positionals } = parseArgs({ allowPositionals: true });
const wish = JSON.parse(positionals[0] ?? '{}') as MortalWish;

let steps = 0;
function step(): void {
  steps += 1;
  if (steps === wish.step) process.kill(process.pid, 'SIGKILL');
}

/** Steps before and after entries are appended, and once they are durable. */
function stepping(gate: Gate): Gate {
  return {
    ...gate,
    *append(entries) {
      step();
      yield* gate.append(entries);
      step();
    },
    appended: () => {
      step();
      gate.appended();
    },
  };
}

function envelopeOf(text: string): Envelope {
  return { payloadType: 'text/plain', payload: toBase64(utf8(text)), signatures: [] };
}

async function write(database: Database, name: string): Promise<void> {
  const [farm, word] = [envelopeOf(`farm ${name}`), envelopeOf(`word ${name}`)];
  await database.write(function* (transaction) {
    const id = sha256Hex(utf8(`farm ${name}`));
    yield* run('INSERT INTO farms (id, farmer, name, envelope) VALUES (:id, :name, :name, :text)', {
      id,
      name,
      text: JSON.stringify(farm),
    });
    transaction.record(recordOf(farm));
    transaction.record(recordOf(word, NODE));
  });
  writeSync(1, `${name}\n`);
}

const silent = (): void => undefined;
const log = { debug: step, info: silent, warn: silent, error: silent };
const gate = stepping(makeGate());
const database = await openKeptDatabase({ folder: wish.folder, url: wish.url, recorder: gate });
const own = openIdentity(wish.folder);
const { folder, witnesses } = wish;
const record = await openTestRecord({ folder, grid: 'test', own, database, gate, witnesses, log });
await database.write(() =>
  run(
    `INSERT INTO nodes (id, offer_id, offer_version, offer, capacity, prices, terms_version, class)
     VALUES (:node, '', 1, '', '', '', 0, '') ON CONFLICT DO NOTHING`,
    { node: NODE },
  ),
);
void record.run(new AbortController().signal);
await record.seen;
writeSync(1, 'ready\n');
for (let writer = 0; writer < WRITERS; writer += 1) {
  void (async () => {
    for (let at = 0; ; at += 1) {
      await write(database, `${wish.life}-${writer}-${at}`);
      await sleep(PAUSE_MS);
    }
  })();
}
