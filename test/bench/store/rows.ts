import { performance } from 'node:perf_hooks';
import { NO_RECORD } from '../../../src/directory/database/database.ts';
import { openPostgres } from '../../../src/directory/database/postgres.ts';
import { run } from '../../../src/directory/database/work.ts';
import { putHeartbeat } from '../../../src/directory/sql/nodes.ts';
import type { Heartbeat } from '../../../src/contract/receipt.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';
import type { Figure } from '../figure.ts';
import { inParallel } from '../feed/parallel.ts';

const NODES = 20_000;
const ROUNDS = 3;
const AT_ONCE = 2048;
const ROWS = 1_000_000;

/** How long one PostgreSQL takes for the signs of life of a million nodes. */
export function figuresOfRows(): Figure[] {
  return [
    {
      name: 'heartbeats-postgres',
      what: 'a million rows of heartbeats through one connection to one PostgreSQL',
      unit: 's',
      reach: 60,
      measure,
    },
  ];
}

/** Measured on a part of them, for they are all alike. */
async function measure(): Promise<number> {
  await using server = await openPostgresServer();
  const url = await server.makeDatabase();
  const { note, close } = await openPostgres({ url, grid: 'test', recorder: NO_RECORD });
  const ids = Array.from({ length: NODES }, (_, at) => at.toString(16).padStart(64, '0'));
  await inParallel(ids, AT_ONCE, async (id) => {
    await note(() =>
      run(
        `INSERT INTO nodes (id, offer_id, offer_version, offer, capacity, prices, terms_version,
           class)
         VALUES (:id, '', 1, '{}', '{}', '{}', 0, 'unverified')`,
        { id },
      ),
    );
  });
  const tookMs: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const startedMs = performance.now();
    await inParallel(ids, AT_ONCE, async (node) =>
      note((transaction) => putHeartbeat(transaction, heartbeatOf(node, round), Date.now())),
    );
    tookMs.push(performance.now() - startedMs);
  }
  await close();
  const middleMs = tookMs.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
  return (middleMs / 1000) * (ROWS / NODES);
}

function heartbeatOf(node: string, seq: number) {
  const value = { node, seq, addresses: [], stages: [] } as unknown as Heartbeat;
  // As long as a node's own word is.
  const payload = 'x'.repeat(1000);
  const envelope = { payloadType: '', payload, signatures: [{ keyid: '', sig: '' }] };
  return { value, envelope };
}
