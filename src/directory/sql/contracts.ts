import type { Prices } from '../../capacity/price.ts';
import { type Capacity, resourcesOf } from '../../capacity/spec.ts';
import {
  ContractError,
  type SignedCancellation,
  type SignedContract,
} from '../../contract/verify.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import type { AdmissionAnswer } from '../../sdk/api.ts';
import { znetIdOf } from '../../znet/address.ts';
import { type Books, decideAdmission } from '../admission.ts';
import { RefusedError } from '../errors.ts';
import {
  afterAdmission,
  afterCancellation,
  afterTime,
  bookedResources,
  dueMs,
  isLive,
  isOver,
  type Life,
  type LifeVersion,
} from '../life.ts';
import type { Carried } from '../store.ts';
import { indexBooked } from '../capacity/table.ts';
import { termsVersionOf } from '../capacity/terms.ts';
import { classIn } from '../attestation/proofs.ts';
import type { Transaction } from '../database/database.ts';
import { all, one, run, type Row, type Work } from '../database/work.ts';
import { keepBody } from './bodies.ts';
import { recordOf } from '../record/append.ts';
import { keepBundle, putIdentity } from '../identity/identities.ts';
import { bookedIn, jsonIn, numberIn, textIn, textOrNullIn } from './rows.ts';
import { putZnetEnds } from './znets.ts';

type Entry = {
  readonly contract: Carried<SignedContract>;
  readonly tenant: IdentityBundle;
  /** The private body that it names. */
  readonly body?: string | undefined;
  readonly nowMs: number;
};
type Admitted = AdmissionAnswer & { readonly isNew: boolean };

/** Decides on a contract and books it, in the one transaction that this is called in. */
export function* admitContract(transaction: Transaction, entry: Entry): Work<Admitted> {
  const { value: contract, envelope } = entry.contract;
  yield* sweep(transaction, entry.nowMs);
  const text = JSON.stringify(envelope);
  const bodyBytes = entry.body?.length ?? 0;
  const lengthBytes = text.length + JSON.stringify(entry.tenant).length + bodyBytes;
  const before = yield* contractRow(contract.id);
  const books = yield* booksFor(entry, before);
  const isNew = decideAdmission(contract, lengthBytes, books) === 'append';
  const version: LifeVersion = {
    digest: contract.digest,
    version: contract.version,
    resources: contract.resources,
    notAfterMs: contract.notAfterMs,
    lengthBytes,
  };
  const life = isNew
    ? afterAdmission(books.contract?.life, version, entry.nowMs)
    : (books.contract?.life as Life);
  if (isNew) {
    const signers = { value: contract.signers, envelope: entry.tenant };
    yield* putIdentity(transaction, signers, entry.nowMs);
    const bundle = yield* keepBundle(entry.tenant);
    if (before === undefined) yield* insertContract(contract, life);
    else yield* saveLife(contract, life);
    yield* appendVersion({ contract, version, text, bundle });
    yield* keepBody(contract, entry.body);
    // Its node hears of it once enough witnesses have seen it, and not before.
    transaction.record(recordOf(envelope, contract.node));
  }
  const { id, digest } = contract;
  const { state, reservedUntilMs } = life;
  return { id, digest, version: contract.version, state, reservedUntilMs, isNew };
}

/** The contract's row, if the directory has it. */
export function* contractRow(id: string): Work<Row | undefined> {
  return yield* one('SELECT * FROM contracts WHERE id = :id', { id });
}

function* booksFor({ contract, nowMs }: Entry, before: Row | undefined): Work<Books> {
  const { id, digest, node, tenant } = contract.value;
  const row = yield* one('SELECT * FROM nodes WHERE id = :node', { node });
  return {
    nowMs,
    node: row && {
      id: node,
      isJoined: row['farm'] !== null,
      offerId: textIn(row, 'offer_id'),
      prices: jsonIn(row, 'prices') as Prices,
      isAsking:
        numberIn(row, 'terms_version') >= (yield* termsVersionOf(textOrNullIn(row, 'farm'))),
      total: resourcesOf(jsonIn(row, 'capacity') as Capacity),
      usedByOthers: yield* bookedIn('node = :node AND id <> :id', { node, id }),
      class: yield* classIn(row, nowMs),
      ...(yield* crowdOn({ node, tenant, nowMs })),
    },
    contract: before && {
      tenant: textIn(before, 'tenant'),
      node: textIn(before, 'node'),
      life: jsonIn(before, 'life') as Life,
    },
    wasHere:
      (yield* one('SELECT 1 FROM versions WHERE digest = :digest', { digest })) !== undefined,
  };
}

type Crowd = { contractCount: number; tenantContractCount: number; envelopesBytes: number };

function* crowdOn({
  node,
  tenant,
  nowMs,
}: {
  node: string;
  tenant: string;
  nowMs: number;
}): Work<Crowd> {
  const booked = yield* one(
    `SELECT COUNT(*) AS count, COUNT(*) FILTER (WHERE tenant = :tenant) AS own,
       CAST(COALESCE(SUM(envelopes_bytes), 0) AS BIGINT) AS bytes
     FROM contracts WHERE is_booked = 1 AND node = :node`,
    { node, tenant },
  );
  const cancelled = yield* one(
    `SELECT COUNT(*) AS count, COUNT(*) FILTER (WHERE tenant = :tenant) AS own
     FROM cancellations WHERE node = :node AND not_after_ms > :nowMs`,
    { node, tenant, nowMs },
  );
  return {
    contractCount: numberIn(booked ?? {}, 'count') + numberIn(cancelled ?? {}, 'count'),
    tenantContractCount: numberIn(booked ?? {}, 'own') + numberIn(cancelled ?? {}, 'own'),
    envelopesBytes: numberIn(booked ?? {}, 'bytes'),
  };
}

function* insertContract(contract: SignedContract, life: Life): Work<void> {
  const { id, tenant, node } = contract;
  yield* run(
    `INSERT INTO contracts (id, tenant, node, is_live, is_booked, state, life, cpu_millis,
       memory_bytes, ssd_bytes, envelopes_bytes, newest_version, not_after_ms)
     VALUES (:id, :tenant, :node, 0, 0, '', '', 0, 0, 0, 0, 0, 0)`,
    { id, tenant, node },
  );
  yield* saveLife(contract, life);
}

/** Writes a contract's life, and everything that queries read of it, in one statement. */
export function* saveLife({ id }: { readonly id: string }, life: Life): Work<void> {
  const booked = bookedResources(life);
  const versions = [life.held, life.pending].filter((version) => version !== null);
  yield* run(
    `UPDATE contracts SET is_live = :isLive, is_booked = :isBooked, state = :state, life = :life,
       held = :held, pending = :pending, cpu_millis = :cpuMillis, memory_bytes = :memoryBytes,
       ssd_bytes = :ssdBytes, envelopes_bytes = :envelopesBytes, due_ms = :dueMs,
       newest_version = CASE WHEN newest_version > :newest THEN newest_version ELSE :newest END,
       not_after_ms = CASE WHEN not_after_ms > :end THEN not_after_ms ELSE :end END
     WHERE id = :id`,
    {
      id,
      isLive: isLive(life) ? 1 : 0,
      isBooked: isOver(life) ? 0 : 1,
      state: life.state,
      life: JSON.stringify(life),
      held: life.held?.digest ?? null,
      pending: life.pending?.digest ?? null,
      cpuMillis: booked.cpuMillis,
      memoryBytes: booked.memoryBytes,
      ssdBytes: booked.ssdBytes,
      envelopesBytes: versions.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
      dueMs: dueMs(life),
      newest: Math.max(0, ...versions.map(({ version }) => version)),
      end: Math.max(0, ...versions.map(({ notAfterMs }) => notAfterMs)),
    },
  );
  yield* indexBooked({ contract: id });
}

type Appended = {
  readonly contract: SignedContract;
  readonly version: LifeVersion;
  readonly text: string;
  readonly bundle: string;
};

function* appendVersion({ contract, version, text, bundle }: Appended): Work<void> {
  const { id, digest, tenant, node } = contract;
  yield* run(
    `INSERT INTO versions (digest, contract, version, seq, life_version, bundle, envelope)
     VALUES (:digest, :id, :version, (SELECT COUNT(*) FROM versions WHERE contract = :id),
       :lifeVersion, :bundle, :text)`,
    { digest, id, version: version.version, lifeVersion: JSON.stringify(version), bundle, text },
  );
  for (const workload of contract.workloads) {
    if (workload.kind !== 'znet') continue;
    const znet = znetIdOf(tenant, workload.name);
    for (const { node: peer } of workload.peers) {
      yield* run(
        `INSERT INTO znet_peers (digest, znet, node, peer) VALUES (:digest, :znet, :node, :peer)`,
        { digest, znet, node, peer },
      );
    }
  }
}

type Ending = {
  readonly cancellation: Carried<SignedCancellation>;
  readonly tenant: IdentityBundle;
  readonly nowMs: number;
};

/** Keeps a cancellation by the tenant of its contract, for its node to fetch. */
export function* cancelContract(
  transaction: Transaction,
  { cancellation: { value, envelope }, tenant, nowMs }: Ending,
): Work<void> {
  yield* sweep(transaction, nowMs);
  const row = yield* contractRow(value.contract);
  if (row === undefined) {
    throw new ContractError('CONTRACT_UNKNOWN', 'No such contract is here; check its id.');
  }
  if (row['tenant'] !== value.tenant) {
    throw new ContractError('TENANT_MISMATCH', 'Only its tenant can cancel a contract.');
  }
  if (row['node'] !== value.node) {
    throw new ContractError('NODE_FOREIGN', 'The contract is on another node than this names.');
  }
  const life = jsonIn(row, 'life') as Life;
  if (life.isCancelled) return;
  if (isOver(life) && life.state !== 'released') {
    throw new RefusedError('CONTRACT_OVER', `This contract is ${life.state} already.`);
  }
  const entry = recordOf(envelope, value.node);
  yield* putIdentity(transaction, { value: value.signers, envelope: tenant }, nowMs);
  yield* run(
    `INSERT INTO cancellations (contract, node, tenant, digest, not_after_ms, bundle, envelope)
     VALUES (:contract, :node, :tenant, :digest, :notAfterMs, :bundle, :envelope)`,
    {
      contract: value.contract,
      node: value.node,
      tenant: value.tenant,
      digest: entry.digest,
      notAfterMs: numberIn(row, 'not_after_ms'),
      bundle: yield* keepBundle(tenant),
      envelope: JSON.stringify(envelope),
    },
  );
  yield* saveLife({ id: value.contract }, afterCancellation(life));
  transaction.record(entry);
  // Its tenant's signature is enough to stop: the node hears of it before any witness does.
  transaction.touch(value.node);
}

const SWEEP_ROWS_MAX = 1000;

/** Carries out what is due by now; an index makes it nothing when nothing is. */
export function* sweep(transaction: Transaction, nowMs: number): Work<void> {
  const rows = yield* all(
    'SELECT id, node, life FROM contracts WHERE due_ms <= :nowMs ORDER BY due_ms LIMIT :limit',
    { nowMs, limit: SWEEP_ROWS_MAX },
  );
  for (const row of rows) {
    const [id, node] = [textIn(row, 'id'), textIn(row, 'node')];
    const life = afterTime(jsonIn(row, 'life') as Life, nowMs);
    yield* saveLife({ id }, life);
    if (isOver(life)) yield* putZnetEnds(transaction, { contract: id, node, ends: [] });
    transaction.touch(node);
  }
}
