import { payloadTypeOf } from '../../identity/envelope.ts';
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
import { abreast, all, one, run, type Row, unheard, type Work } from '../database/work.ts';
import { keepBody, withBody } from './bodies.ts';
import { recordOf } from '../record/append.ts';
import { publishedHead } from '../record/head.ts';
import { keepBundle, putIdentity } from '../identity/identities.ts';
import { bookedIn, crowdOn, jsonIn, numberIn, textIn, textOrNullIn } from './rows.ts';
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
  const { envelope } = entry.contract;
  const [due, found] = yield* abreast(dueBy(entry.nowMs), readBooks(entry));
  yield* carryOut(transaction, due, entry.nowMs);
  const { before, books } = due.length === 0 ? found : yield* readBooks(entry);
  const { contract, body } = yield* withBody(entry.contract.value, entry.body);
  const text = JSON.stringify(envelope);
  const bodyBytes = body?.length ?? 0;
  const lengthBytes = text.length + JSON.stringify(entry.tenant).length + bodyBytes;
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
    const [, bundle] = yield* abreast(
      putIdentity(transaction, signers, entry.nowMs),
      keepBundle(entry.tenant),
    );
    yield* unheard(
      before === undefined ? insertContract(contract, life) : saveLife(contract, life),
      appendVersion({ contract, version, text, bundle }),
      keepBody(contract, body),
    );
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

type Read = { readonly before: Row | undefined; readonly books: Books };

function* readBooks({ contract, nowMs }: Entry): Work<Read> {
  const { id, digest, node, tenant } = contract.value;
  const [before, row, usedByOthers, crowd, here] = yield* abreast(
    contractRow(id),
    one('SELECT * FROM nodes WHERE id = :node', { node }),
    bookedIn('node = :node AND id <> :id', { node, id }),
    crowdOn({ node, tenant, nowMs }),
    one('SELECT 1 FROM versions WHERE digest = :digest', { digest }),
  );
  const [termsVersion, counted] = yield* abreast(
    termsVersionOf(row === undefined ? null : textOrNullIn(row, 'farm')),
    row === undefined ? nothing() : classIn(row, nowMs),
  );
  const books: Books = {
    nowMs,
    node: row &&
      counted && {
        id: node,
        isJoined: row['farm'] !== null,
        offerId: textIn(row, 'offer_id'),
        prices: jsonIn(row, 'prices') as Prices,
        isAsking: numberIn(row, 'terms_version') >= termsVersion,
        total: resourcesOf(jsonIn(row, 'capacity') as Capacity),
        usedByOthers,
        class: counted,
        ...crowd,
      },
    contract: before && {
      tenant: textIn(before, 'tenant'),
      node: textIn(before, 'node'),
      life: jsonIn(before, 'life') as Life,
    },
    wasHere: here !== undefined,
  };
  return { before, books };
}

function* nothing(): Work<undefined> {
  yield* [];
  return undefined;
}

function* insertContract(contract: SignedContract, life: Life): Work<void> {
  const { tenant, node } = contract;
  const columns = columnsOf(contract, life);
  yield* run(
    `INSERT INTO contracts (id, tenant, node, is_live, is_booked, state, life, held, pending,
       cpu_millis, memory_bytes, ssd_bytes, hdd_bytes, envelopes_bytes, due_ms, newest_version,
       not_after_ms)
     VALUES (:id, :tenant, :node, :isLive, :isBooked, :state, :life, :held, :pending,
       :cpuMillis, :memoryBytes, :ssdBytes, :hddBytes, :envelopesBytes, :dueMs, :newest, :end)`,
    { tenant, node, ...columns },
  );
  yield* indexBooked({ contract: columns.id });
}

/** Writes a contract's life, and everything that queries read of it, in one statement. */
export function* saveLife(contract: { readonly id: string }, life: Life): Work<void> {
  yield* run(
    `UPDATE contracts SET is_live = :isLive, is_booked = :isBooked, state = :state, life = :life,
       held = :held, pending = :pending, cpu_millis = :cpuMillis, memory_bytes = :memoryBytes,
       ssd_bytes = :ssdBytes, hdd_bytes = :hddBytes, envelopes_bytes = :envelopesBytes,
       due_ms = :dueMs,
       newest_version = CASE WHEN newest_version > :newest THEN newest_version ELSE :newest END,
       not_after_ms = CASE WHEN not_after_ms > :end THEN not_after_ms ELSE :end END
     WHERE id = :id`,
    columnsOf(contract, life),
  );
  yield* indexBooked({ contract: contract.id });
}

function columnsOf({ id }: { readonly id: string }, life: Life) {
  const booked = bookedResources(life);
  const versions = [life.held, life.pending].filter((version) => version !== null);
  return {
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
    hddBytes: booked.hddBytes,
    envelopesBytes: versions.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
    dueMs: dueMs(life),
    newest: Math.max(0, ...versions.map(({ version }) => version)),
    end: Math.max(0, ...versions.map(({ notAfterMs }) => notAfterMs)),
  };
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
  const isUnheard = life.held === null && !(yield* isPublished(life.pending?.digest));
  yield* saveLife({ id: value.contract }, afterCancellation(life, isUnheard));
  transaction.record(entry);
  // Its tenant's signature is enough to stop: the node hears of it before any witness does.
  transaction.touch(value.node);
}

/** Whether a node may have heard of a version: before it is published, none has. */
function* isPublished(digest: string | undefined): Work<boolean> {
  if (digest === undefined) return true;
  const { size } = yield* publishedHead();
  const row = yield* one(
    'SELECT idx FROM record_entries WHERE digest = :digest AND payload_type = :type',
    { digest, type: payloadTypeOf('contract') },
  );
  return row !== undefined && numberIn(row, 'idx') < size;
}

const SWEEP_ROWS_MAX = 1000;

/** Carries out what is due by now; an index makes it nothing when nothing is. */
export function* sweep(transaction: Transaction, nowMs: number): Work<void> {
  yield* carryOut(transaction, yield* dueBy(nowMs), nowMs);
}

function* dueBy(nowMs: number): Work<readonly Row[]> {
  return yield* all(
    'SELECT id, node, life FROM contracts WHERE due_ms <= :nowMs ORDER BY due_ms LIMIT :limit',
    { nowMs, limit: SWEEP_ROWS_MAX },
  );
}

function* carryOut(transaction: Transaction, rows: readonly Row[], nowMs: number): Work<void> {
  for (const row of rows) {
    const [id, node] = [textIn(row, 'id'), textIn(row, 'node')];
    const life = afterTime(jsonIn(row, 'life') as Life, nowMs);
    yield* saveLife({ id }, life);
    if (isOver(life)) yield* putZnetEnds(transaction, { contract: id, node, ends: [] });
    transaction.touch(node);
  }
}
