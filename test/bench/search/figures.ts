import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { FEATURES, NODE_CLASSES } from '../../../src/capacity/spec.ts';
import { type Database, NO_RECORD } from '../../../src/directory/database/database.ts';
import { openPostgres } from '../../../src/directory/database/postgres.ts';
import { openSqlite } from '../../../src/directory/database/sqlite.ts';
import { GiB } from '../../../src/lib/units.ts';
import type { CapacityQuery } from '../../../src/sdk/calls/farms.ts';
import { openClient } from '../../../src/sdk/index.ts';
import { GRID } from '../../support/contracts.ts';
import { startDirectory } from '../../support/store/directory-process.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';
import { type Figure, percentile } from '../figure.ts';
import { STORES, type StoreKind } from '../store/directory.ts';
import { chanceOf, COUNTRIES, fillDatabase } from './crowd.ts';

const NODES = 100_000;
const SEARCHES = 1000;

/** How long a search takes among many nodes, over HTTP, with the nodes' documents in the answer. */
export function figuresOfSearch(): Figure[] {
  return STORES.map((kind) => ({
    name: `search-${kind}`,
    what: `capacity search over ${NODES} nodes, over HTTP, p99, ${kind}`,
    unit: 'ms',
    reach: 50,
    measure: async () => measure(kind),
  }));
}

async function measure(kind: StoreKind): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'zos-bench-search-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => rm(folder, { recursive: true, force: true }));
  let words = ['--data', folder];
  let database: Database;
  if (kind === 'sqlite') {
    const path = join(folder, 'directory.sqlite');
    database = openSqlite({ path, grid: GRID, recorder: NO_RECORD });
  } else {
    const server = cleanup.use(await openPostgresServer());
    const url = await server.makeDatabase();
    words = ['--store', url, '--keys', folder];
    database = await openPostgres({ url, grid: GRID, recorder: NO_RECORD });
  }
  await fillDatabase(database, NODES, Date.now());
  await database.close();
  await using directory = await startDirectory(words);
  const client = openClient({ baseUrl: directory.url });
  const tookMs: number[] = [];
  for (let at = 0; at < SEARCHES; at += 1) {
    const startedMs = performance.now();
    await client.capacity(searchOf(at));
    tookMs.push(performance.now() - startedMs);
  }
  const [p50, p99] = [percentile(tookMs, 50), percentile(tookMs, 99)];
  console.error(
    `  p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} max ${Math.max(...tookMs).toFixed(1)} ms`,
  );
  return p99;
}

/** Searches of all kinds: what most nodes have, what few have, and what none has. */
function searchOf(at: number): CapacityQuery {
  const draw = (what: string, most: number): number => chanceOf(`${what} of search ${at}`, most);
  const isAsked = (what: string): boolean => draw(`whether ${what}`, 2) === 0;
  const rare = draw('rare', 4) === 0 ? 64 : 1;
  return {
    cpuMillis: 1000 * (1 + draw('cpu', 16)),
    memoryBytes: (1 + draw('memory', 32)) * rare * GiB,
    ssdBytes: isAsked('ssd') ? (1 + draw('ssd', 4000)) * GiB : undefined,
    hddBytes: isAsked('hdd') ? (1 + draw('hdd', 8000)) * GiB : undefined,
    country: isAsked('country') ? COUNTRIES[draw('country', COUNTRIES.length)] : undefined,
    class: isAsked('class') ? NODE_CLASSES[1 + draw('class', 3)] : undefined,
    features: isAsked('feature') ? FEATURES[draw('feature', FEATURES.length)] : undefined,
    hourMicrosMax: isAsked('price') ? 1000 * (1 + draw('price', 100)) : undefined,
    limit: 50,
  };
}
