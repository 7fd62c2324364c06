import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../host/log.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { signCheckpoint } from '../../record/checkpoint.ts';
import type { NoteSigner } from '../../record/note.ts';
import type { TlogProof } from '../../record/tlog-proof.ts';
import { EMPTY_HEAD, RecordError } from '../../record/tree.ts';
import type { Database } from '../database/database.ts';
import type { RefusedError } from '../errors.ts';
import { openCosigners } from './cosigners.ts';
import type { Gate } from './gate.ts';
import { entryBy, type PlacedEntry, type Published, publishedHead, sizeOf } from './head.ts';
import { policyOf } from './policy.ts';
import { makeKept, openProver, type Prover } from './proofs.ts';
import { mendTiles, publishOnce } from './publisher.ts';
import { forkedBy, refusalOf } from './standing.ts';
import type { TileStore } from './tiles.ts';

const PROOFS_KEPT_MAX = 20_000;
/** A head is given up for a newer one after this long. */
const ROUND_MS = 10 * SECOND_MS;
const PAUSE_MS = SECOND_MS;
/** Entries of another process are looked for this often, should no word of them come. */
const LOOK_EVERY_MS = 250;

/** The directory's record as it is shown to everybody. */
export type DirectoryRecord = {
  /** Log and witnesses (c2sp.org/tlog-policy). */
  readonly policy: string;
  readonly published: () => Promise<Published>;
  readonly entry: (digest: string) => Promise<PlacedEntry | undefined>;
  /** The proof of an entry below the published size; throws `RecordError`. */
  readonly prove: (index: number, published: Published) => Promise<TlogProof>;
  readonly growth: Prover['growth'];
  readonly tile: TileStore['read'];
  /** Settles once it is known whether this database may be written on. */
  readonly seen: Promise<void>;
  /** Publishes until it is aborted. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

export type RecordParts = {
  readonly database: Database;
  readonly gate: Gate;
  readonly signer: NoteSigner;
  readonly policy: string;
  readonly tiles: TileStore;
  readonly log: Log;
};

/** The record over a database and a tile store. */
export function openRecord(parts: RecordParts): DirectoryRecord {
  const { database, gate, signer, tiles, log } = parts;
  const policy = policyOf(parts.policy);
  const prover = openProver(tiles);
  const sizeNow = async (): Promise<number> => database.read(sizeOf());
  const cosigners = openCosigners({
    policy,
    growth: prover.growth,
    sizeNow,
    onWord: () => void judge(),
    log,
  });
  const published = async (): Promise<Published> => database.read(publishedHead());
  const kept = makeKept<TlogProof>(PROOFS_KEPT_MAX);
  const seen = Promise.withResolvers<void>();
  let said: string | undefined;
  /** What our own tiles say stays said until a restart. */
  let fork: RefusedError | undefined;
  const judge = (): RefusedError | undefined => {
    const refusal = fork ?? refusalOf(policy, cosigners.words);
    gate.set(refusal);
    if (refusal !== undefined && refusal.code !== said) {
      log.error({ code: refusal.code, sentence: refusal.message }, 'record refuses writes');
    }
    said = refusal?.code;
    const isSettled = fork !== undefined || cosigners.words.size === policy.witnesses.size;
    if (refusal === undefined || isSettled) seen.resolve();
    return refusal;
  };
  /** Asks witnesses about what was published last until enough say that they saw nothing newer. */
  const compare = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted && judge() !== undefined) {
      const { size, checkpoint } = await published();
      const head = { size, checkpoint: checkpoint ?? signCheckpoint(EMPTY_HEAD, signer) };
      const round = AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]);
      await cosigners.collect(head, round).catch(() => undefined);
      if (judge() !== undefined) await pause(signal);
    }
  };
  judge();
  const lead = async (signal: AbortSignal): Promise<void> => {
    const publisher = { database, tiles, signer, cosigners, log };
    await mendTiles(publisher);
    while (!signal.aborted) {
      const round = AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]);
      const isMore = await publishOnce(publisher, round).catch((error: unknown) => {
        if (!round.aborted) throw error;
        return false;
      });
      judge();
      if (!isMore) await gate.next(LOOK_EVERY_MS, signal);
    }
  };
  return {
    policy: parts.policy,
    published,
    entry: async (digest) => database.read(entryBy(digest)),
    prove: async (index, { size, checkpoint }) => {
      const known = kept.get(String(index));
      if (known !== undefined) return known;
      if (checkpoint === null || index >= size) throw notYet();
      const proof = { index, hashes: await prover.inclusion(index, size), checkpoint };
      kept.set(String(index), proof);
      return proof;
    },
    growth: prover.growth,
    tile: tiles.read,
    seen: seen.promise,
    run: async (signal) => {
      while (!signal.aborted) {
        try {
          await compare(signal);
          await database.lead(signal, lead);
        } catch (error) {
          if (signal.aborted) return;
          if (codeOf(error) === 'HEAD_FORKED') fork = forkedBy('in its own tiles');
          log.error({ error, sentence: sentenceOf(error) }, 'record not published');
          judge();
          await pause(signal);
        }
      }
    },
  };
}

/** What is said of an entry that is on the record and not seen by enough witnesses yet. */
export function notYet(): RecordError {
  const sentence = 'This is on the record and its witnesses have not seen it yet; ask again soon.';
  return new RecordError('QUORUM_MISSING', sentence);
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
}
