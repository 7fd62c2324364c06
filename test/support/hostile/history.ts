import { toBase64 } from '../../../src/lib/bytes.ts';
import { formatCheckpoint, cosignCheckpoint } from '../../../src/record/checkpoint.ts';
import { type Entry, leafHashOf } from '../../../src/record/entry.ts';
import { formatNote, type NoteSigner, signText } from '../../../src/record/note.ts';
import { proveConsistency, proveInclusion } from '../../../src/record/proof.ts';
import { formatTlogProof } from '../../../src/record/tlog-proof.ts';
import { plainReader, rootOf } from '../record/plain-tree.ts';
import { LOG, WITNESSES } from '../record/signers.ts';

/** One history of a log: what a test that owns its keys can tell, and to whom it likes. */
export class History {
  readonly #leaves: Uint8Array[] = [];

  /** Another history with the same beginning. */
  fork(): History {
    const other = new History();
    other.#leaves.push(...this.#leaves);
    return other;
  }

  get size(): number {
    return this.#leaves.length;
  }

  /** Appends; the entry's index. */
  add(entry: Entry): number {
    return this.#leaves.push(leafHashOf(entry)) - 1;
  }

  /** The signed head of the first `size` entries, as text. */
  checkpoint(size = this.size, signers: readonly NoteSigner[] = WITNESSES): string {
    const text = formatCheckpoint(LOG.name, { size, root: rootOf(this.#leaves.slice(0, size)) });
    const cosigned = signers.map((witness) => cosignCheckpoint(text, witness, 1_800_000_000));
    return Buffer.from(formatNote(text, [signText(text, LOG), ...cosigned])).toString();
  }

  /** The proof of the entry at `index` under the head of `size`, in base64. */
  proof(index: number, size = this.size, signers?: readonly NoteSigner[]): string {
    const leaves = this.#leaves.slice(0, size);
    const hashes = proveInclusion(index, size, plainReader(leaves));
    const checkpoint = Buffer.from(this.checkpoint(size, signers));
    return toBase64(formatTlogProof({ index, hashes, checkpoint: new Uint8Array(checkpoint) }));
  }

  /** The hashes between two sizes, in base64. */
  growth(from: number, to = this.size): string[] {
    if (from === 0 || from === to) return [];
    const hashes = proveConsistency(from, to, plainReader(this.#leaves.slice(0, to)));
    return hashes.map((hash) => toBase64(hash));
  }

  /** What a heartbeat that named `from` entries is answered with. */
  shown(from: number): { checkpoint: string; proof: string[] } {
    return { checkpoint: this.checkpoint(), proof: this.growth(from) };
  }
}
