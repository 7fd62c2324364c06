import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { openLogKey } from '../../../src/directory/keys.ts';
import { toBase64 } from '../../../src/lib/bytes.ts';
import { cosignCheckpoint, formatCheckpoint } from '../../../src/record/checkpoint.ts';
import { formatEntry } from '../../../src/record/entry.ts';
import { formatNote, type NoteSigner, signText } from '../../../src/record/note.ts';
import { EMPTY_EDGE, encodeBundle, growEdge, headOf, tilePath } from '../../../src/record/tile.ts';
import { leafHash, type TreeHead } from '../../../src/record/tree.ts';
import { GRID } from '../contracts.ts';

type Values = Record<string, SQLInputValue>;

/** Who owns a directory's database and its log's key, and does with them what they like. */
export class Owner {
  readonly folder: string;
  readonly log: NoteSigner;

  constructor(folder: string) {
    this.folder = folder;
    this.log = openLogKey(folder, GRID);
  }

  /** Changes the books; how many rows changed. */
  change(sql: string, values: Values = {}): number {
    using database = new DatabaseSync(join(this.folder, 'directory.sqlite'), { timeout: 5000 });
    return Number(database.prepare(sql).run(values).changes);
  }

  rows(sql: string, values: Values = {}): Record<string, unknown>[] {
    using database = new DatabaseSync(join(this.folder, 'directory.sqlite'), { timeout: 5000 });
    return database.prepare(sql).all(values);
  }

  /** The record's lines as the books have them now. */
  lines(): Uint8Array[] {
    return this.rows('SELECT * FROM record_entries ORDER BY idx').map((row) => {
      const { payload_type: payloadType, digest, node, seq } = row;
      const entry = { payloadType: String(payloadType), digest: String(digest) };
      const isAddressed = typeof node === 'string';
      return formatEntry(isAddressed ? { ...entry, to: { node, seq: Number(seq) } } : entry);
    });
  }

  head(lines = this.lines()): TreeHead {
    return headOf(
      growEdge(
        EMPTY_EDGE,
        lines.map((line) => leafHash(line)),
      ).edge,
    );
  }

  /** A head over these lines, signed by the log and by whoever else is in the owner's hands. */
  checkpoint(lines: readonly Uint8Array[], cosigners: readonly NoteSigner[] = []): Uint8Array {
    const text = formatCheckpoint(this.log.name, this.head([...lines]));
    const seconds = Math.floor(Date.now() / 1000);
    const cosigned = cosigners.map((witness) => cosignCheckpoint(text, witness, seconds));
    return formatNote(text, [signText(text, this.log), ...cosigned]);
  }

  /** Publishes a head over the books' lines as if all was well: tiles, proofs and all. */
  show(cosigners: readonly NoteSigner[] = []): void {
    const lines = this.lines();
    const { edge, tiles } = growEdge(
      EMPTY_EDGE,
      lines.map((line) => leafHash(line)),
    );
    const folder = join(this.folder, 'record');
    rmSync(folder, { recursive: true, force: true });
    const bundle = { tile: { level: 'entries' as const, index: 0, width: lines.length } };
    for (const { tile, bytes } of [...tiles, { ...bundle, bytes: encodeBundle(lines) }]) {
      const path = join(folder, tilePath(tile));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    const checkpoint = Buffer.from(this.checkpoint(lines, cosigners));
    writeFileSync(join(folder, 'checkpoint'), checkpoint);
    const levels = JSON.stringify(edge.levels.map((level) => toBase64(level)));
    const { size } = edge;
    this.change('UPDATE record_published SET size = :size, edge = :levels, checkpoint = :text', {
      size,
      levels,
      text: checkpoint.toString(),
    });
    this.change('UPDATE record_head SET size = :size', { size });
    this.change('UPDATE nodes SET revision = revision + 1');
  }
}
