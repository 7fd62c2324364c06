import type { Identity } from '../../identity/document.ts';
import { isSameBytes } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
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
import { openBook, recordedIdentity, type Span } from './book.ts';
import { type EntryContext, faultOf } from './entries.ts';
import { type RecordSource, required } from '../record/fetch.ts';
import { readEntries, requirePart, servedTile } from './growth.ts';
import type { AuditStore, Fault } from './store.ts';

/** So many entries are proven and kept at a time: whole tiles. */
const STEP_ENTRIES = 16 * TILE_WIDTH;
const FETCHES_AT_ONCE = 8;

export type Audit = {
  readonly grid: string;
  /** Whose record it is, and who signed what it measured. */
  readonly directory: Identity;
  readonly source: RecordSource;
  readonly policy: Policy;
  readonly store: AuditStore;
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
  const span = { notBeforeMs: store.seenMs(), notAfterMs: latestMs(checkpoint) };
  for (let edge = before; edge.size < head.size; edge = store.edge()) {
    audit.say(`${edge.size} of ${head.size} entries`);
    await step(audit, edge, { head, span });
  }
  await mendFaults(audit);
  return { checkpoint, signed, added: head.size - before.size };
}

/** The latest time that a witness gave: the entries are not younger. */
function latestMs({ cosigned }: VerifiedCheckpoint): number | null {
  const times = cosigned.map(({ timeSeconds }) => timeSeconds ?? 0);
  return times.length === 0 ? null : Math.max(...times) * SECOND_MS;
}

function requireNoOlder(seen: TreeHead, shown: TreeHead): void {
  if (shown.size > seen.size || seen.size === 0) return;
  checkGrowth({ older: seen, newer: shown, proof: [] });
}

type Target = { readonly head: TreeHead; readonly span: Span };

/** Reads some entries more, proves that they are of this head, and keeps them. */
async function step(audit: Audit, edge: Edge, { head, span }: Target): Promise<void> {
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
  const book = openBook(audit.store.book);
  faults.push(...(await envelopeFaults(audit, entries, { book, span })));
  const seenMs = end === head.size ? span.notAfterMs : null;
  audit.store.keep({ edge: grown.edge, entries, faults, book, seenMs });
}

async function tileFaults(
  source: RecordSource,
  { tile, bytes }: WrittenTile,
  size: number,
): Promise<Fault[]> {
  const served = await servedTile(source, tile);
  const part = served?.subarray(0, bytes.length);
  if (part !== undefined && isSameBytes(part, bytes)) return [];
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

/** Checks what the entries commit to, in their order, and writes what they say to the book. */
async function envelopeFaults(
  audit: Audit,
  lines: readonly Line[],
  { book, span }: Pick<EntryContext, 'book' | 'span'>,
): Promise<Fault[]> {
  const { source, grid, directory, documentOf } = audit;
  const identityOf = async (id: string): Promise<Identity> =>
    recordedIdentity(book, id) ?? documentOf(id);
  const faults: Fault[] = [];
  for (let at = 0; at < lines.length; at += FETCHES_AT_ONCE) {
    const some = lines.slice(at, at + FETCHES_AT_ONCE);
    const fetched = some.map(async (line) => ({
      ...line,
      envelope: await source.envelope(line.entry.digest),
    }));
    for (const check of await Promise.all(fetched)) {
      const fault = await faultOf(check, { grid, directory, book, span, identityOf });
      if (fault !== undefined) faults.push(fault);
    }
  }
  return faults;
}

/** Looks again at what was missing: a directory that mends itself is no alarm any more. */
async function mendFaults(audit: Audit): Promise<void> {
  const { store } = audit;
  for (const fault of store.faults()) {
    const entry = store.entryAt(fault.index);
    if (fault.code !== 'ENVELOPE_MISSING' || entry === undefined) continue;
    const book = openBook(store.book);
    const span = { notBeforeMs: null, notAfterMs: null };
    const [found] = await envelopeFaults(audit, [{ index: fault.index, entry }], { book, span });
    if (found?.code === fault.code) continue;
    store.forget(fault);
    const faults = found === undefined ? [] : [found];
    store.keep({ edge: store.edge(), entries: [], faults, book, seenMs: null });
  }
}
