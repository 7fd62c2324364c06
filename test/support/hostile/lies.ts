import { setTimeout as pause } from 'node:timers/promises';
import { exchange, fetchBytes } from '../../../src/host/http.ts';
import { payloadTypeOf } from '../../../src/identity/envelope.ts';
import { textOf } from '../../../src/lib/bytes.ts';
import { proveConsistency } from '../../../src/record/proof.ts';
import { leafHash } from '../../../src/record/tree.ts';
import { formatCosignRequest } from '../../../src/record/witness.ts';
import type { TestAgent } from '../node/agent.ts';
import { plainReader } from '../record/plain-tree.ts';
import { type Ground, seenBy, soon } from './ground.ts';

/** Lies about what is on the record; the owner's own contract is on the other history. */
export const HISTORIES: readonly (readonly [string, string, (ground: Ground) => void])[] = [
  ['drops the last entry', 'HEAD_STALE', ({ owner }) => dropLast(owner)],
  [
    'changes an entry',
    'HEAD_FORKED',
    ({ owner }) => {
      owner.change('UPDATE record_entries SET digest = :digest WHERE idx = 0', { digest: OTHER });
    },
  ],
  [
    'swaps two entries',
    'HEAD_FORKED',
    ({ owner }) => {
      for (const [from, to] of [
        [0, -1],
        [1, 0],
        [-1, 1],
      ] as const) {
        owner.change('UPDATE record_entries SET idx = :to WHERE idx = :from', { from, to });
      }
    },
  ],
  [
    'goes on from an earlier head in another way',
    'CONSISTENCY_INVALID',
    ({ owner }) => {
      dropLast(owner);
      addEntry(owner, OTHER);
      addEntry(owner, OTHER.replaceAll('e', 'f'));
    },
  ],
];
const OTHER = 'ee'.repeat(32);

function dropLast(owner: Ground['owner']): void {
  owner.change('DELETE FROM record_entries WHERE idx = (SELECT max(idx) FROM record_entries)');
}

function addEntry(owner: Ground['owner'], digest: string): void {
  owner.change(
    `INSERT INTO record_entries (idx, payload_type, digest)
     SELECT max(idx) + 1, :type, :digest FROM record_entries`,
    { type: payloadTypeOf('farm'), digest },
  );
}

/** Asks every witness to sign the owner's head, with the best proof that there is. */
export async function askWitnesses({ owner, witnesses }: Ground, seen: number): Promise<number[]> {
  const lines = owner.lines();
  const leaves = lines.map((line) => leafHash(line));
  const olderSize = Math.min(seen, lines.length);
  const isMore = olderSize < lines.length;
  const proof = isMore ? proveConsistency(olderSize, lines.length, plainReader(leaves)) : [];
  const checkpoint = owner.checkpoint(lines);
  const body = formatCosignRequest({ olderSize, proof, checkpoint });
  const asked = witnesses.map(async ({ url }) =>
    exchange({ url: `${url}/add-checkpoint`, method: 'POST', body }),
  );
  return (await Promise.all(asked)).map(({ status }) => status);
}

/** The size of the head that the directory shows. */
export async function headSize({ directory }: Ground): Promise<number> {
  const text = textOf(await fetchBytes({ url: `${directory().url}/record/checkpoint` }));
  return Number(text.split('\n')[1]);
}

/** Waits until nothing more is recorded, and the node holds the head of it all. */
export async function isAtRest(ground: Ground, agent: TestAgent): Promise<void> {
  await soon(agent, async () => {
    const before = await headSize(ground);
    await pause(500);
    const seen = await seenBy(ground, agent);
    return (await headSize(ground)) === before && seen?.size === before && seen.alarm === null;
  });
}

/** Whether an entry is proven under a head that enough witnesses saw. */
export async function isPublished({ directory }: Ground, digest: string): Promise<boolean> {
  const { status } = await exchange({ url: `${directory().url}/record/proof/${digest}` });
  return status === 200;
}
