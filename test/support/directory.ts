import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measurements } from '../../src/attestation/spec.ts';
import { openProver } from '../../src/directory/attestation/prover.ts';
import { makeBuckets } from '../../src/directory/buckets.ts';
import { openIdentity, type OwnIdentity } from '../../src/directory/keys.ts';
import { type Metrics, openMetrics } from '../../src/directory/metrics/metrics.ts';
import { openNotifier } from '../../src/directory/feed/notifier.ts';
import { makeServer } from '../../src/directory/server.ts';
import type { Store } from '../../src/directory/store.ts';
import type { Database } from '../../src/directory/database/database.ts';
import { makeGate } from '../../src/directory/record/gate.ts';
import type { DirectoryRecord } from '../../src/directory/record/record.ts';
import { openStore } from '../../src/directory/sql/store.ts';
import { untrustedPayload } from '../../src/identity/envelope.ts';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { HOUR_MS } from '../../src/lib/units.ts';
import { type Client, type NodeSigning, openClient } from '../../src/sdk/index.ts';
import { openTestRecord, type RecordWish, settle } from './record/directory-record.ts';
import { openTestDatabase } from './store/stores.ts';
import { GRID, makePerson, NOW_MS, type Person } from './contracts.ts';
import { type Farmer, makeOffer, makeToken } from './identity/farm.ts';

export type TestDirectory = AsyncDisposable & {
  readonly url: string;
  readonly client: Client;
  readonly store: Store;
  readonly record: DirectoryRecord;
  readonly database: Database;
  readonly metrics: Metrics;
  /** Everything that is on the record by now is published. */
  readonly settled: () => Promise<void>;
  readonly own: OwnIdentity;
  readonly folder: string;
  /** What its clock shows; tests turn it. */
  readonly clock: { nowMs: number };
};

const silent = (): void => undefined;
const LOG = { debug: silent, info: silent, warn: silent, error: console.error };

type Limits = {
  perSecond?: number;
  burst?: number;
  identityBurst?: number;
  requestDeadlineMs?: number;
  addressConnectionsMax?: number;
  measurements?: Measurements;
  trustedRoot?: Uint8Array;
  /** A folder that stays: a directory that was there before goes on in it. */
  folder?: string;
  /** As `--witness` takes them. */
  witnesses?: readonly string[];
};

type Recorded = { readonly database: Database; readonly record: DirectoryRecord; store: Store };

/** A store with its record, put together as the main program does it. */
async function openRecordedStore(
  wish: Pick<RecordWish, 'folder' | 'own' | 'witnesses'>,
): Promise<Recorded> {
  const gate = makeGate();
  const database = await openTestDatabase({ folder: wish.folder, recorder: gate });
  const record = await openTestRecord({ ...wish, grid: GRID, database, gate, log: LOG });
  return { database, record, store: openStore(database, record) };
}

/** What nodes get is what is published: tests ask once that has happened. */
function openPatientClient(url: string, database: Database): Client {
  const client = openClient({ baseUrl: url });
  return {
    ...client,
    wants: async (...wish) => {
      await settle(database).catch(() => undefined);
      return client.wants(...wish);
    },
  };
}

/** A real server on the loopback interface over a real database in a folder of its own. */
export async function openDirectory(limits: Limits = {}): Promise<TestDirectory> {
  const { perSecond = 10_000, burst = 10_000, requestDeadlineMs = 10_000 } = limits;
  const { identityBurst = 10_000, measurements, trustedRoot, witnesses = [] } = limits;
  const folder = limits.folder ?? mkdtempSync(join(tmpdir(), 'zos-directory-'));
  const clock = { nowMs: NOW_MS };
  const own = openIdentity(folder);
  const recorded = await openRecordedStore({ folder, own, witnesses });
  const { database, record, store } = recorded;
  const [metrics, notifier] = [openMetrics(), openNotifier()];
  store.onChange(notifier.wake);
  const prover = openProver({
    grid: GRID,
    own,
    store,
    measurements: async () => measurements,
    nowMs: () => clock.nowMs,
    log: LOG,
  });
  const ending = new AbortController();
  const running = [prover.run(ending.signal), record.run(ending.signal)];
  const buckets = (most: number) => makeBuckets({ perSecond, burst: most, keysMax: 1000 });
  const app = await makeServer({
    directory: {
      grid: GRID,
      own,
      store,
      notifier,
      metrics,
      byIdentity: buckets(identityBurst),
      prover,
      trustedRoot,
      record,
      nowMs: () => clock.nowMs,
      log: LOG,
    },
    byAddress: buckets(burst),
    requestDeadlineMs,
    addressConnectionsMax: limits.addressConnectionsMax ?? 1000,
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    client: openPatientClient(url, database),
    store,
    database,
    record,
    metrics,
    settled: async () => settle(database),
    own,
    folder,
    clock,
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await Promise.all(running);
      await app.close();
      await store.close();
      if (limits.folder === undefined) rmSync(folder, { recursive: true });
    },
  };
}

/** A node that joined the farm; `offerId` is what contracts name. */
export async function joinNode(
  directory: TestDirectory,
  farmer: Farmer,
  name = 'node',
): Promise<Person & { readonly offerId: string }> {
  const node = makePerson(name);
  await directory.client.createFarm({ farm: farmer.farm, farmer: farmer.document });
  const offer = makeOffer(node);
  await directory.client.registerNode({
    identity: node.document,
    token: makeToken(farmer, { notAfterMs: directory.clock.nowMs + HOUR_MS }),
    farmer: farmer.document,
    offer,
  });
  return { ...node, offerId: sha256Hex(untrustedPayload(offer, 'offer')) };
}

/** How that node signs its requests. */
export function signingOf(node: Person, clock: { nowMs: number }): NodeSigning {
  return { grid: GRID, node: node.id, signer: node.keys.signing, nowMs: () => clock.nowMs };
}
