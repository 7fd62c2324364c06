import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { isSameBytes } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { type Entry, parseEntry } from '../../record/entry.ts';
import type { Policy } from '../../record/policy.ts';
import { checkGrowth } from '../../record/proof.ts';
import {
  type Edge,
  growEdge,
  headOf,
  TILE_WIDTH,
  tilePath,
  type WrittenTile,
} from '../../record/tile.ts';
import { leafHash, type TreeHead } from '../../record/tree.ts';
import { type VerifiedCheckpoint, verifyCheckpoint } from '../../record/verify.ts';
import type { Holding } from '../../phonebook/name.ts';
import { faultOf } from './entries.ts';
import { followClaim, isName } from '../phonebook/claims.ts';
import { type RecordSource, required } from './fetch.ts';
import { readEntries, requirePart } from './growth.ts';
import type { AuditStore, Fault } from './store.ts';

/** So many entries are proven and kept at a time: whole tiles. */
const STEP_ENTRIES = 16 * TILE_WIDTH;
const FETCHES_AT_ONCE = 8;

export type Audit = {
  readonly source: RecordSource;
  readonly policy: Policy;
  readonly store: AuditStore;
  readonly grid: string;
  /** A document of this id, by whoever has it: an id is its hash. */
  readonly documentOf: (id: string) => Promise<Identity>;
  readonly say: (what: string) => void;
};

/** Where the record stands after a look at it. */
export type Followed = {
  readonly checkpoint: VerifiedCheckpoint;
  readonly signed: Uint8Array;
  /** Entries that were new. */
  readonly added: number;
};

/**
 * Follows the record from where it was left to the newest checkpoint: witnesses, growth, every
 * entry, every tile, and what stands behind them. Throws `RecordError` when the record is not one
 * that grew out of what was seen, and what asking throws; what is wrong with single entries is kept
 * in the store.
 */
export async function followRecord(audit: Audit): Promise<Followed> {
  const { source, policy, store } = audit;
  const signed = required(await source.checkpoint(), 'checkpoint');
  const checkpoint = verifyCheckpoint(signed, policy);
  const { head } = checkpoint;
  const before = store.edge();
  requireNoOlder(headOf(before), head);
  for (let edge = before; edge.size < head.size; edge = store.edge()) {
    audit.say(`${edge.size} of ${head.size} entries`);
    await step(audit, edge, head);
  }
  await mendFaults(audit);
  return { checkpoint, signed, added: head.size - before.size };
}

function requireNoOlder(seen: TreeHead, shown: TreeHead): void {
  if (shown.size > seen.size || seen.size === 0) return;
  checkGrowth({ older: seen, newer: shown, proof: [] });
}

/** Reads some entries more, proves that they are of this head, and keeps them. */
async function step(audit: Audit, edge: Edge, head: TreeHead): Promise<void> {
  const stepEnd = (Math.floor(edge.size / STEP_ENTRIES) + 1) * STEP_ENTRIES;
  const end = Math.min(head.size, stepEnd);
  const lines = await readEntries(audit.source, { start: edge.size, end, size: head.size });
  const grown = growEdge(
    edge,
    lines.map((line) => leafHash(line)),
  );
  const known = headOf(edge);
  await requirePart(audit.source, { known, reached: headOf(grown.edge), head });
  const faults: Fault[] = [];
  // What grows on is served as a whole tile later; what stands at the edge is served now.
  const served = grown.tiles.filter(({ tile }) => end === head.size || tile.width === TILE_WIDTH);
  for (const written of served) faults.push(...(await tileFaults(audit.source, written, end)));
  const entries: Line[] = [];
  for (const [at, line] of lines.entries()) {
    const index = edge.size + at;
    const entry = entryOf(line, index, faults);
    if (entry !== undefined) entries.push({ index, entry });
  }
  faults.push(...sequenceFaults(audit.store, entries, edge.size));
  const names = new Map<string, Holding>();
  faults.push(...(await envelopeFaults(audit, entries, names)));
  audit.store.keep({ edge: grown.edge, entries, faults, names: [...names.values()] });
}

async function tileFaults(
  source: RecordSource,
  { tile, bytes }: WrittenTile,
  size: number,
): Promise<Fault[]> {
  const served = await source.tile(tile);
  if (served !== undefined && isSameBytes(served, bytes)) return [];
  const code = served === undefined ? 'TILE_MISSING' : 'TILE_OTHER';
  const how = served === undefined ? 'not served' : 'another than its entries make';
  const sentence = `The tile ${tilePath(tile)} is ${how}.`;
  return [{ index: size - 1, code, sentence }];
}

function entryOf(line: Uint8Array, index: number, faults: Fault[]): Entry | undefined {
  try {
    return parseEntry(line);
  } catch (error) {
    faults.push({ index, code: codeOf(error), sentence: `Entry ${index}: ${sentenceOf(error)}` });
    return undefined;
  }
}

type Line = { readonly index: number; readonly entry: Entry };

/** The numbers of the entries for each node: 1, 2, 3, and none left out. */
function sequenceFaults(store: AuditStore, lines: readonly Line[], size: number): Fault[] {
  const last = new Map<string, number>();
  const faults: Fault[] = [];
  for (const { index, entry } of lines) {
    const { to } = entry;
    if (to === undefined) continue;
    const expected = (last.get(to.node) ?? store.seqOf(to.node, size)) + 1;
    if (to.seq !== expected) {
      const sentence =
        `Entry ${index} is number ${to.seq} for node ${to.node.slice(0, 10)}, and ${expected} ` +
        'was next: something for that node is missing or stands twice.';
      faults.push({ index, code: 'SEQ_GAP', sentence });
    }
    last.set(to.node, Math.max(to.seq, expected - 1));
  }
  return faults;
}

async function envelopeFaults(
  audit: Audit,
  lines: readonly Line[],
  names: Map<string, Holding>,
): Promise<Fault[]> {
  const { source, store, grid } = audit;
  const heldOf = (name: string) => names.get(name) ?? store.holding(name);
  const fresh = new Set(lines.map(({ entry }) => entry.digest));
  const known = new Map<string, Promise<Identity>>();
  const identityOf = async (id: string): Promise<Identity> => {
    const asked = known.get(id) ?? identityFrom(audit, id, fresh);
    known.set(id, asked);
    return asked;
  };
  const faults: Fault[] = [];
  for (let at = 0; at < lines.length; at += FETCHES_AT_ONCE) {
    const some = lines.slice(at, at + FETCHES_AT_ONCE);
    const found = await Promise.all(
      some.map(async ({ index, entry }) => {
        const envelope = await source.envelope(entry.digest);
        const fault = await faultOf({ index, entry, envelope, identityOf });
        return { index, entry, envelope, fault };
      }),
    );
    faults.push(...found.map(({ fault }) => fault).filter((fault) => fault !== undefined));
    for (const { index, entry, envelope, fault } of found) {
      if (fault !== undefined || envelope === undefined || !isName(entry)) continue;
      const held = await followClaim({ index, envelope, identityOf, grid, heldOf });
      if ('code' in held) faults.push(held);
      else names.set(held.name, held);
    }
  }
  return faults;
}

/** The identity as the record has it; a document that it does not have, by whoever has it. */
async function identityFrom(
  { source, store, documentOf }: Audit,
  id: string,
  fresh: ReadonlySet<string>,
): Promise<Identity> {
  const isRecorded = fresh.has(id) || store.holds(id);
  const envelope = isRecorded ? await source.envelope(id) : undefined;
  return envelope === undefined ? documentOf(id) : verifyIdentity(envelope, id);
}

/** Looks again at what was missing: a directory that mends itself is no alarm any more. */
async function mendFaults(audit: Audit): Promise<void> {
  const { source, store } = audit;
  for (const fault of store.faults()) {
    const entry = store.entryAt(fault.index);
    if (fault.code !== 'ENVELOPE_MISSING' || entry === undefined) continue;
    const envelope = await source.envelope(entry.digest);
    const identityOf = async (id: string): Promise<Identity> => identityFrom(audit, id, new Set());
    const found = await faultOf({ index: fault.index, entry, envelope, identityOf });
    if (found?.code === fault.code) continue;
    store.forget(fault);
    if (found !== undefined) store.keep({ edge: store.edge(), entries: [], faults: [found] });
  }
}
