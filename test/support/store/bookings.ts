import { addResources, NO_RESOURCES, type Resources } from '../../../src/capacity/spec.ts';
import type { Receipt } from '../../../src/contract/receipt.ts';
import type { SignedCancellation, SignedContract } from '../../../src/contract/verify.ts';
import { all } from '../../../src/directory/database/work.ts';
import type { Database } from '../../../src/directory/database/database.ts';
import { bookedResources, type Life } from '../../../src/directory/life.ts';
import { jsonIn, textIn } from '../../../src/directory/sql/rows.ts';
import type { Store } from '../../../src/directory/store.ts';
import { type Envelope, payloadTypeOf, type PayloadKind } from '../../../src/identity/envelope.ts';
import { type Identity, verifyIdentity } from '../../../src/identity/document.ts';
import { makeGate } from '../../../src/directory/record/gate.ts';
import { openStore } from '../../../src/directory/sql/store.ts';
import { sha256Hex, utf8 } from '../../../src/lib/bytes.ts';
import { GiB, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/lib/units.ts';
import { makeContract, makePerson, NOW_MS, type Person } from '../contracts.ts';
import { joinNode, openDirectory } from '../directory.ts';
import { CAPACITY, freshNonce, makeFarmer } from '../identity/farm.ts';
import { chanceOf } from '../fuzz.ts';
import { openSharedDatabase } from './stores.ts';

/** A process of the directory that takes part in the race, as its routes use it. */
export type Runner = { readonly store: Store; readonly database: Database };

export type Race = {
  readonly runners: readonly Runner[];
  readonly nodes: readonly (Person & { readonly offerId: string })[];
  readonly tenant: Person;
  readonly signers: Identity;
  readonly operations: number;
  readonly chance: () => number;
};

/** What became of it; a node that ever held more than it has is a double booking. */
export type Raced = {
  readonly taken: number;
  readonly refused: number;
  readonly doubleBookings: number;
};

const AT_ONCE = 256;
const PASSES_MS = [0, 0, 0, SECOND_MS, 20 * SECOND_MS, MINUTE_MS] as const;

/**
 * Random operations that race with each other over all runners: contracts and later versions, words
 * of nodes, cancellations, and time that passes. They come as the routes hand them over, after
 * their signatures were checked. What is booked is added up apart from how the store does it.
 */
export async function raceBookings(race: Race): Promise<Raced> {
  const state = { nowMs: NOW_MS, seq: 0, over: new Set<string>() };
  const seen = { taken: 0, refused: 0, doubleBookings: 0 };
  const live: SignedContract[] = [];
  for (let done = 0; done < race.operations; done += AT_ONCE) {
    state.nowMs += PASSES_MS[below(race, PASSES_MS.length)] ?? 0;
    const count = Math.min(AT_ONCE, race.operations - done);
    const asked = Array.from({ length: count }, async () => operate(race, state, live));
    for (const { status } of await Promise.allSettled(asked)) {
      if (status === 'fulfilled') seen.taken += 1;
      else seen.refused += 1;
    }
    live.splice(0, Math.max(0, live.length - 2000));
    seen.doubleBookings += await overbooked(race);
  }
  return seen;
}

function below({ chance }: Pick<Race, 'chance'>, end: number): number {
  return Math.floor(chance() * end);
}

type State = { nowMs: number; seq: number; readonly over: Set<string> };

async function operate(race: Race, state: State, live: SignedContract[]): Promise<void> {
  const { store } = race.runners[below(race, race.runners.length)] as Runner;
  const before = live[below(race, Math.max(1, live.length))];
  const { nowMs } = state;
  const kind = below(race, 8);
  if (before === undefined || kind < 3) {
    await admit(race, { store, nowMs, before: undefined, live });
  } else if (kind < 4) {
    await admit(race, { store, nowMs, before, live });
  } else if (kind < 7) {
    const said = (['accepted', 'running', 'refused', 'ended'] as const)[below(race, 4)];
    // A node speaks of what it was asked for and has not given up: of anything else it would be
    // believed too, for what runs there is there, and that books on purpose.
    const { versions = [], reservedUntilMs } = (await store.contract(before.id)) ?? {};
    const stands = versions.find(({ digest }) => digest === before.digest)?.state;
    const isOpen = stands === 'held' || (stands === 'pending' && (reservedUntilMs ?? 0) > nowMs);
    if (!isOpen || state.over.has(before.id)) throw new Error('A node says nothing of this now.');
    if (said === 'refused' || said === 'ended') state.over.add(before.id);
    state.seq += 1;
    const value = receiptOf(before, { seq: state.seq, nowMs, state: said ?? 'ended' });
    await store.putReceipt({ value, envelope: envelopeOf('receipt', value) }, nowMs);
  } else {
    const { grid, id: contract, node, signers } = before;
    const word = { grid, contract, tenant: race.tenant.id, node, atMs: nowMs };
    const envelope = envelopeOf('cancellation', word);
    const value = { ...word, signers } as unknown as SignedCancellation;
    const tenant = { chain: [race.tenant.document] };
    await store.cancelContract({ cancellation: { value, envelope }, tenant, nowMs });
  }
}

type Admission = {
  readonly store: Store;
  readonly nowMs: number;
  readonly before: SignedContract | undefined;
  readonly live: SignedContract[];
};

async function admit(race: Race, { store, nowMs, before, live }: Admission): Promise<void> {
  const { tenant, signers, nodes } = race;
  const node = nodes.find(({ id }) => id === before?.node) ?? nodes[below(race, nodes.length)];
  if (node === undefined) throw new Error('There is no node.');
  const resources = {
    cpuMillis: 1 + below(race, 2500),
    memoryBytes: below(race, 3) * (GiB / 2),
    ssdBytes: below(race, 4) * GiB,
    hddBytes: 0,
  };
  const contract = makeContract(tenant, {
    node: node.id,
    offer: node.offerId,
    nonce: freshNonce(),
    resources,
    workloads: [],
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + (1 + below(race, 5)) * MINUTE_MS,
    ...(before && { id: before.id, version: before.version + 1, previous: before.digest }),
  });
  const envelope = envelopeOf('contract', contract);
  const digest = sha256Hex(utf8(JSON.stringify(contract)));
  const id = contract.id ?? digest;
  const value = { ...contract, id, digest, signers, private: null } as unknown as SignedContract;
  const carried = { value, envelope };
  await store.admitContract({ contract: carried, tenant: { chain: [tenant.document] }, nowMs });
  live.push(value);
}

function receiptOf(
  { grid, id: contract, node, version, digest }: SignedContract,
  word: { readonly seq: number; readonly nowMs: number; readonly state: Receipt['state'] },
): Receipt {
  const { seq, nowMs: atMs, state } = word;
  return { grid, node, seq, atMs, contract, version, digest, state, workloads: [], znetEnds: [] };
}

/** Signatures are checked before the store sees anything; here there are none to check. */
function envelopeOf(kind: PayloadKind, value: unknown): Envelope {
  const payload = Buffer.from(JSON.stringify(value)).toString('base64');
  return { payloadType: payloadTypeOf(kind), payload, signatures: [{ keyid: '', sig: '' }] };
}

/** How many nodes hold more than they have, by the lives of their contracts. */
async function overbooked({ runners, nodes }: Race): Promise<number> {
  const held = new Map<string, Resources>(nodes.map(({ id }) => [id, NO_RESOURCES]));
  const read = runners[0]?.database.read;
  const rows = await read?.(all('SELECT node, life FROM contracts WHERE is_booked = 1'));
  for (const row of rows ?? []) {
    const node = textIn(row, 'node');
    const booked = bookedResources(jsonIn(row, 'life') as Life);
    held.set(node, addResources(held.get(node) ?? NO_RESOURCES, booked));
  }
  const total = { cpuMillis: CAPACITY.cru * 1000, memoryBytes: CAPACITY.mruBytes };
  return [...held.values()].filter(
    ({ cpuMillis, memoryBytes, ssdBytes }) =>
      cpuMillis > total.cpuMillis ||
      memoryBytes > total.memoryBytes ||
      ssdBytes > CAPACITY.sruBytes,
  ).length;
}

const NODES = 16;

/** Runs a race over a new store, and over a second process's where the database is shared. */
export async function runRace(operations: number, seed: number): Promise<Raced> {
  await using opened = new AsyncDisposableStack();
  const directory = opened.use(await openDirectory());
  const { store, database, record } = directory;
  const runners: Runner[] = [{ store, database }];
  const second = await openSharedDatabase(makeGate());
  if (second !== undefined) {
    opened.defer(second.close);
    runners.push({ store: openStore(second, record), database: second });
  }
  const farmer = makeFarmer();
  const nodes: Race['nodes'][number][] = [];
  while (nodes.length < NODES) nodes.push(await joinNode(directory, farmer));
  const tenant = makePerson('tenant');
  const signers = verifyIdentity(tenant.document);
  const chance = chanceOf(seed);
  return await raceBookings({ runners, nodes, tenant, signers, operations, chance });
}
