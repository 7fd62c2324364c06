import { createHash } from 'node:crypto';
import { NODE_CLASSES, FEATURES, type Offer } from '../../../src/capacity/spec.ts';
import { signTerms } from '../../../src/capacity/farm/terms.ts';
import { countWindow } from '../../../src/directory/capacity/uptime.ts';
import { putTerms } from '../../../src/directory/capacity/terms.ts';
import type { Database, Transaction } from '../../../src/directory/database/database.ts';
import { one, run, type Values } from '../../../src/directory/database/work.ts';
import { putFarm, putHeartbeat, registerNode } from '../../../src/directory/sql/nodes.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { untrustedPayload } from '../../../src/identity/envelope.ts';
import { sha256Hex, utf8 } from '../../../src/lib/bytes.ts';
import { GiB } from '../../../src/lib/units.ts';
import { GRID } from '../../support/contracts.ts';
import { makeFarmer } from '../../support/identity/farm.ts';
import { makeQuickly, signQuickly } from '../feed/crowd.ts';

export const COUNTRIES = ['BE', 'DE', 'EG', 'FR', 'IN', 'KE', 'NL', 'TZ', 'US', 'ZA'];
const NODES_PER_FARM = 100;
/** Nodes that register as they do; the others are made from these, for a search sees no names. */
const REAL_NODES = 1000;
const BATCH = 256;

/** Neither a record nor a feed has to hear of what is only searched. */
const QUIET: Transaction = { record: () => undefined, touch: () => undefined };

/** A number from 0 to below `most`, the same at every run. */
export function chanceOf(name: string, most: number): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0) % most;
}

/** Fills a database with so many nodes: a thousand that register, and the same again and again. */
export async function fillDatabase(
  database: Database,
  count: number,
  nowMs: number,
): Promise<void> {
  await registerNodes(database, REAL_NODES, nowMs);
  const row = await database.read(one('SELECT MAX(seq) AS last FROM nodes'));
  const last = Number(row?.['last']);
  for (let copy = 1; copy < count / REAL_NODES; copy += 1) {
    const values = { last, moved: copy * last, name: copy.toString(16).padStart(8, '0') };
    await database.write(function* () {
      for (const text of COPIES) yield* run(text, usedBy(text, values));
    });
  }
}

const CAPACITY = `farm, country, class, proven_until_ms, cpu_millis, memory_bytes, ssd_bytes,
  hdd_bytes, free_cpu_millis, free_memory_bytes, free_ssd_bytes, free_hdd_bytes, compute_price,
  storage_price, network_price, features, online_until_ms, since_day, measure_at_ms`;
const NODE = `farm, offer_id, offer_version, offer, capacity, prices, class, terms_version`;

/** The thousand once more, with other ids, and documents as long. */
const COPIES = [
  `INSERT INTO identities (id, envelope, members, links)
   SELECT :name || SUBSTR(i.id, 9), i.envelope, i.members, i.links
   FROM identities i JOIN nodes n ON n.id = i.id WHERE n.seq <= :last`,
  `INSERT INTO heartbeats (node, seq, last_seen_ms, payload, envelope)
   SELECT :name || SUBSTR(h.node, 9), h.seq, h.last_seen_ms, h.payload, h.envelope
   FROM heartbeats h JOIN nodes n ON n.id = h.node WHERE n.seq <= :last`,
  `INSERT INTO uptime (seq, day, heard, said, early, last_window)
   SELECT seq + :moved, day, heard, said, early, last_window FROM uptime WHERE seq <= :last`,
  `INSERT INTO capacity (seq, ${CAPACITY})
   SELECT seq + :moved, ${CAPACITY} FROM capacity WHERE seq <= :last`,
  `INSERT INTO nodes (seq, id, ${NODE})
   SELECT seq + :moved, :name || SUBSTR(id, 9), ${NODE} FROM nodes WHERE seq <= :last`,
];

function usedBy(text: string, values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => text.includes(`:${name}`)));
}

/** Registers so many nodes, each as it does by itself, and takes a sign of life of each. */
async function registerNodes(database: Database, count: number, nowMs: number): Promise<void> {
  for (let first = 0; first < count; first += NODES_PER_FARM) {
    const farmer = makeFarmer(`farmer-${first}`);
    const country = COUNTRIES[(first / NODES_PER_FARM) % COUNTRIES.length] ?? 'BE';
    const terms = {
      grid: GRID,
      farm: farmer.farmId,
      farmer: farmer.id,
      version: 1,
      location: { country, city: null, at: null },
      payout: null,
      prices: pricesOf(first),
    };
    const signed = signTerms(terms, farmer.keys.signing);
    await database.write(function* () {
      yield* putFarm(QUIET, {
        value: { id: farmer.farmId, grid: GRID, farmer: farmer.id, name: `farm-${first}` },
        envelope: farmer.farm,
      });
      yield* putTerms(QUIET, { value: terms as never, envelope: signed }, farmer.document);
    });
    for (let at = first; at < Math.min(first + NODES_PER_FARM, count); at += BATCH) {
      const last = Math.min(at + BATCH, first + NODES_PER_FARM, count);
      const works = Array.from({ length: last - at }, (_, index) =>
        nodeWork(farmer, at + index, { nowMs, farm: first }),
      );
      await Promise.all(works.map(async (work) => database.write(work)));
    }
  }
}

function pricesOf(farm: number): Offer['prices'] {
  const computeHourMicros = 1000 + chanceOf(`price ${farm}`, 20_000);
  return { computeHourMicros, storageHourMicros: 400, networkMicros: 10 };
}

function nodeWork(
  farmer: ReturnType<typeof makeFarmer>,
  index: number,
  { nowMs, farm }: { nowMs: number; farm: number },
) {
  const node = makeQuickly('node');
  const cru = 2 ** (1 + chanceOf(`cru ${index}`, 6));
  const offer: Offer = {
    grid: GRID,
    node: node.id,
    version: 1,
    capacity: {
      cru,
      mruBytes: cru * 2 ** chanceOf(`mru ${index}`, 4) * GiB,
      sruBytes: (100 + chanceOf(`sru ${index}`, 4000)) * GiB,
      hruBytes: chanceOf(`hru ${index}`, 3) * 4000 * GiB,
    },
    class: NODE_CLASSES[1 + chanceOf(`class ${index}`, 3)] ?? 'unverified',
    endorsement: null,
    prices: pricesOf(farm),
    termsVersion: 1,
    features: FEATURES.filter((feature) => chanceOf(`${feature} ${index}`, 2) === 0),
    hardware: { board: 'bench', processor: 'bench', networkCards: [], disks: [] },
  };
  const envelope = signQuickly('offer', offer, node.key);
  const id = sha256Hex(untrustedPayload(envelope, 'offer'));
  const heartbeat = heartbeatOf(node.id, nowMs);
  return function* () {
    yield* registerNode(QUIET, {
      identity: { value: verifyIdentity(node.document), envelope: node.document },
      offer: { value: { ...offer, id }, envelope },
      token: {
        grid: GRID,
        farm: farmer.farmId,
        farmer: farmer.id,
        nonce: '00'.repeat(16),
        notAfterMs: Number.MAX_SAFE_INTEGER,
        takeBlankDisks: false,
        id: sha256Hex(utf8(`token ${index}`)),
      },
      farmer: null,
      nowMs,
    });
    const beat = { value: heartbeat, envelope: signQuickly('heartbeat', heartbeat, node.key) };
    yield* putHeartbeat(QUIET, beat, nowMs);
    yield* countWindow(beat.value, { nowMs, wasAsleep: false });
  };
}

function heartbeatOf(node: string, nowMs: number) {
  return {
    grid: GRID,
    node,
    seq: 1,
    atMs: nowMs,
    bootId: 'bench',
    uptimeMs: 1,
    memory: { totalBytes: GiB, availableBytes: GiB },
    system: null,
    addresses: ['192.0.2.7'],
    stages: [],
    keyKept: 'disk' as const,
    agentStarts: 1,
  };
}
