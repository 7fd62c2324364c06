import { createCipheriv, createHash } from 'node:crypto';
import { concatBytes, isSameBytes, utf8 } from '../../lib/bytes.ts';
import { HASH_BYTES, openingOf, rootOf, rootOfOpening, type Tree, treeOver } from './tree.ts';

/**
 * A plot is bytes that can only be had by having had all of them: each block is the block somewhere
 * before it, picked by the hash of the one right before, under a key that only the challenge and
 * that hash make. Whoever kept a part of it has to make the rest again, block after block, as in
 * Biryukov and Khovratovich's Merkle tree proofs (MTP, 2016): a few blocks that somebody else picks
 * after the root is told, each checked from three hashes and one block, show that all were there.
 */
export const BLOCK_BYTES = 1024;
/** Blocks that are asked for: who made a quarter of them up is caught in 99 of 100 tries. */
export const SAMPLES = 16;

/** Where a plot's blocks lie. */
export type Space = {
  readonly write: (index: number, block: Uint8Array) => void;
  readonly read: (index: number) => Uint8Array;
};

export type Plot = { readonly root: Uint8Array; readonly open: (seed: Uint8Array) => Opening };

/** What is shown of a plot: of each sample the block that it was made from, and the hashes. */
export type Opening = { readonly blocks: readonly Uint8Array[]; readonly hashes: Uint8Array };

/**
 * Fills a space with so many blocks, a power of two; yields now and then, so that whoever drives it
 * can rest. The blocks stay where they are until the plot was opened.
 */
export function* fillPlot(
  challenge: Uint8Array,
  count: number,
  space: Space,
): Generator<void, Plot> {
  const leaves = new Uint8Array(count * HASH_BYTES);
  const leafAt = (index: number): Uint8Array =>
    leaves.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  let before: Uint8Array = new Uint8Array(HASH_BYTES);
  for (let index = 0; index < count; index += 1) {
    const key = keyOf(challenge, index, before);
    const source = index === 0 ? ZEROS : space.read(referenceOf(key, index));
    const block = encrypt(key, source);
    space.write(index, block);
    before = hashOf(block);
    leaves.set(before, index * HASH_BYTES);
    if (index % 64 === 63) yield;
  }
  const tree: Tree = treeOver(leaves);
  yield;
  return {
    root: rootOf(tree),
    open: (seed) => {
      const picked = samplesOf(seed, count);
      const sources = picked.map((index) => {
        const key = keyOf(challenge, index, leafAt(index - 1));
        return referenceOf(key, index);
      });
      return {
        blocks: sources.map((index) => space.read(index).slice()),
        hashes: openingOf(tree, wantedOf(picked, sources)),
      };
    },
  };
}

export type Claim = {
  readonly challenge: Uint8Array;
  readonly count: number;
  readonly root: Uint8Array;
  readonly seed: Uint8Array;
};

/**
 * Whether an opening is of a plot of that challenge, size and root, at the places that the seed
 * picks. Costs one block's work a sample, whatever the size. `hashes` starts with those of the
 * samples and the blocks before them: the keys and so the sources follow from those.
 */
export function isPlotOpening(claim: Claim, { blocks, hashes }: Opening): boolean {
  const { challenge, count, root, seed } = claim;
  const picked = samplesOf(seed, count);
  if (blocks.length !== picked.length) return false;
  if (blocks.some((block) => block.length !== BLOCK_BYTES)) return false;
  const lead = leadOf(picked);
  if (hashes.length < lead.length * HASH_BYTES) return false;
  const known = new Map<number, Uint8Array>();
  for (const [at, index] of lead.entries()) {
    known.set(index, hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
  }
  const sources: number[] = [];
  for (const [at, index] of picked.entries()) {
    const key = keyOf(challenge, index, known.get(index - 1) ?? ZEROS);
    const source = referenceOf(key, index);
    const block = blocks[at] ?? ZEROS;
    const made = hashOf(encrypt(key, block));
    if (!isSameBytes(made, known.get(index) ?? ZEROS)) return false;
    const sourceHash = hashOf(block);
    const before = known.get(source);
    if (before !== undefined && !isSameBytes(before, sourceHash)) return false;
    known.set(source, sourceHash);
    sources.push(source);
  }
  const rest = hashes.subarray(lead.length * HASH_BYTES);
  const wanted = wantedOf(picked, sources);
  const found = rootOfOpening({ count, known, wanted, rest });
  return found !== undefined && isSameBytes(found, root);
}

/** What a plot of a question is made from; memory and disk never share a byte. */
export function challengeOf(question: string, what: 'memory' | 'disk'): Uint8Array {
  return createHash('sha256').update(`${question} ${what}`).digest();
}

/** Places that a seed picks, each once, in order; the first block has no source to show. */
function samplesOf(seed: Uint8Array, count: number): number[] {
  const picked = new Set<number>();
  for (let turn = 0; picked.size < Math.min(SAMPLES, count - 1); turn += 1) {
    const drawn = createHash('sha256').update(seed).update(String(turn)).digest();
    picked.add(1 + (drawn.readUIntBE(0, 6) % (count - 1)));
  }
  return [...picked].toSorted((a, b) => a - b);
}

/** The hashes that can't be made from the blocks shown. */
function leadOf(picked: readonly number[]): number[] {
  return [...new Set(picked.flatMap((index) => [index - 1, index]))].toSorted((a, b) => a - b);
}

function wantedOf(
  picked: readonly number[],
  sources: readonly number[],
): { readonly lead: readonly number[]; readonly all: readonly number[] } {
  const lead = leadOf(picked);
  return { lead, all: [...new Set([...lead, ...sources])].toSorted((a, b) => a - b) };
}

const ZEROS = new Uint8Array(BLOCK_BYTES);
const NO_COUNTER = new Uint8Array(16);
const KEY_LABEL = utf8('zos plot v1');

function keyOf(challenge: Uint8Array, index: number, before: Uint8Array): Buffer {
  const place = Buffer.alloc(8);
  place.writeBigUInt64BE(BigInt(index));
  return createHash('sha256')
    .update(concatBytes(KEY_LABEL, challenge, place, before))
    .digest();
}

function referenceOf(key: Buffer, index: number): number {
  return key.readUIntBE(0, 6) % index;
}

/** AES-256 in counter mode; each key is used once. */
function encrypt(key: Uint8Array, block: Uint8Array): Uint8Array {
  return createCipheriv('aes-256-ctr', key, NO_COUNTER).update(block);
}

function hashOf(block: Uint8Array): Uint8Array {
  return createHash('sha256').update(block).digest();
}
