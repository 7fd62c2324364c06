import { performance } from 'node:perf_hooks';
import { utf8 } from '../../../src/lib/bytes.ts';
import { cosignCheckpoint, formatCheckpoint } from '../../../src/record/checkpoint.ts';
import { type Entry, leafHashOf } from '../../../src/record/entry.ts';
import { formatNote, type NoteSigner, signText } from '../../../src/record/note.ts';
import { parsePolicy, type Policy } from '../../../src/record/policy.ts';
import { proveInclusion } from '../../../src/record/proof.ts';
import {
  type Edge,
  EMPTY_EDGE,
  growEdge,
  headOf,
  readTiles,
  tilePath,
} from '../../../src/record/tile.ts';
import { formatTlogProof } from '../../../src/record/tlog-proof.ts';
import { verifyTlogProof } from '../../../src/record/verify.ts';
import { signerOf, vkeyOf } from '../../support/record/signers.ts';
import { type Figure, percentile } from '../figure.ts';

const ENTRIES = 1_000_000;
const BATCH = 4096;
const CHECKS = 500;
const NOW_SECONDS = 1_795_000_000;
const TYPE = 'application/vnd.zos.contract.v1+json';

/** What a proof weighs and costs in a record of a million entries, seen by three witnesses. */
export function figuresOfProof(): Figure[] {
  let made: Promise<Made> | undefined;
  const make = async (): Promise<Made> => (made ??= Promise.resolve(makeRecord()));
  return [
    {
      name: 'record-proof-size',
      what: 'inclusion proof with checkpoint and three cosignatures, at a million entries',
      unit: 'KiB',
      reach: 2000 / 1024,
      measure: async () => {
        const { prove } = await make();
        return prove(ENTRIES / 3).length / 1024;
      },
    },
    {
      name: 'record-proof-check',
      what: 'full offline check of such a proof (checks 1 to 7), median',
      unit: 'ms',
      reach: 1,
      measure: async () => {
        const { prove, policy } = await make();
        const took = Array.from({ length: CHECKS }, (_, at) => {
          const index = (at * 7919) % ENTRIES;
          const proof = prove(index);
          const startMs = performance.now();
          verifyTlogProof(proof, leafHashOf(entryAt(index)), policy);
          return performance.now() - startMs;
        });
        return percentile(took, 50);
      },
    },
  ];
}

type Made = { readonly prove: (index: number) => Uint8Array; readonly policy: Policy };

function entryAt(index: number): Entry {
  const digest = index.toString(16).padStart(64, '0');
  return { payloadType: TYPE, digest, to: { node: digest, seq: index + 1 } };
}

function makeRecord(): Made {
  const tiles = new Map<string, Uint8Array>();
  let edge: Edge = EMPTY_EDGE;
  while (edge.size < ENTRIES) {
    const { size } = edge;
    const count = Math.min(BATCH, ENTRIES - size);
    const leaves = Array.from({ length: count }, (_, at) => leafHashOf(entryAt(size + at)));
    const grown = growEdge(edge, leaves);
    for (const { tile, bytes } of grown.tiles) tiles.set(tilePath(tile), bytes);
    edge = grown.edge;
  }
  const log = signerOf('main.zos/record', 1);
  const witnesses = [10, 11, 12].map((byte, at) => signerOf(`w${at + 1}.example/witness`, byte));
  const text = formatCheckpoint(log.name, headOf(edge));
  const checkpoint = formatNote(text, [
    signText(text, log),
    ...witnesses.map((witness) => cosignCheckpoint(text, witness, NOW_SECONDS)),
  ]);
  const read = readTiles(ENTRIES, (tile) => tiles.get(tilePath(tile)));
  return {
    policy: policyOf(log, witnesses),
    prove: (index) =>
      formatTlogProof({
        index: Math.floor(index),
        hashes: proveInclusion(Math.floor(index), ENTRIES, read),
        checkpoint,
      }),
  };
}

function policyOf(log: NoteSigner, witnesses: readonly NoteSigner[]): Policy {
  const lines = witnesses.map((one, at) => `witness w${at + 1} ${vkeyOf(one, 'cosignature-v1')}`);
  const head = `log ${vkeyOf(log, 'ed25519')}`;
  return parsePolicy(utf8([head, ...lines, 'group all 2 w1 w2 w3', 'quorum all', ''].join('\n')));
}
