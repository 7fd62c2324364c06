import { isSameBytes } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { checkGrowth } from '../../record/proof.ts';
import { decodeBundle, type Tile, TILE_WIDTH, tilePath, tileWidth } from '../../record/tile.ts';
import { RecordError, type TreeHead } from '../../record/tree.ts';
import type { RecordSource } from '../record/fetch.ts';

/** What the directory serves is not what its witnesses signed. */
export class AuditError extends ZosError<'ENTRIES_OTHER' | 'ENTRIES_MISSING'> {}

/** Entries from `start` up to and without `end`, of a record of `size`. */
export type Span = { readonly start: number; readonly end: number; readonly size: number };

/** Entries as they are served, in bounds and nothing else checked. */
export async function readEntries(
  source: RecordSource,
  { start, end, size }: Span,
): Promise<Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for (let at = start; at < end;) {
    const index = Math.floor(at / TILE_WIDTH);
    const tile = { level: 'entries', index, width: tileWidth('entries', index, size) } as const;
    const bytes = await servedTile(source, tile);
    if (bytes === undefined) {
      const sentence = `The record has ${size} entries, and ${tilePath(tile)} is not served.`;
      throw new AuditError('ENTRIES_MISSING', sentence);
    }
    const bundle = bundleOf(bytes, tile.width);
    entries.push(...bundle.slice(at - index * TILE_WIDTH));
    at = index * TILE_WIDTH + tile.width;
  }
  return entries.slice(0, end - start);
}

/** A tile, or the whole one where the log has dropped the partial one that was asked for. */
export async function servedTile(
  source: RecordSource,
  tile: Tile,
): Promise<Uint8Array | undefined> {
  const bytes = await source.tile(tile);
  if (bytes !== undefined || tile.width === TILE_WIDTH) return bytes;
  return source.tile({ ...tile, width: TILE_WIDTH });
}

function bundleOf(bytes: Uint8Array, width: number): Uint8Array[] {
  try {
    return decodeBundle(bytes, width);
  } catch (error) {
    if (width === TILE_WIDTH) throw error;
    return decodeBundle(bytes, TILE_WIDTH).slice(0, width);
  }
}

/**
 * Throws `AuditError` or `RecordError` unless what was read ends at the checkpoint's own tree, or
 * at an earlier state of it.
 */
export async function requirePart(
  source: RecordSource,
  { known, reached, head }: { known: TreeHead; reached: TreeHead; head: TreeHead },
): Promise<void> {
  if (reached.size === head.size && isSameBytes(reached.root, head.root)) return;
  // Is it another history, or the same one with other entries in its bundles?
  if (known.size > 0) {
    const proof = await source.growth(known.size, head.size);
    refuseFork(known, head, proof);
  }
  const proof = reached.size === head.size ? [] : await source.growth(reached.size, head.size);
  try {
    checkGrowth({ older: reached, newer: head, proof });
  } catch (cause) {
    const sentence =
      `The entries ${known.size} to ${reached.size} that the directory serves are not those ` +
      'that its witnesses signed; tell everybody.';
    throw new AuditError('ENTRIES_OTHER', sentence, { cause });
  }
}

function refuseFork(known: TreeHead, head: TreeHead, proof: readonly Uint8Array[]): void {
  try {
    checkGrowth({ older: known, newer: head, proof });
  } catch (cause) {
    const sentence =
      `The record of ${head.size} entries does not hold the ${known.size} that were seen ` +
      'before: the directory tells two histories. Tell everybody.';
    throw new RecordError('HEAD_FORKED', sentence, { cause });
  }
}
