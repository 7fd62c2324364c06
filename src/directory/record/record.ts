import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../host/log.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { signCheckpoint } from '../../record/checkpoint.ts';
import type { NoteSigner } from '../../record/note.ts';
import type { Policy } from '../../record/policy.ts';
import type { TlogProof } from '../../record/tlog-proof.ts';
import { EMPTY_HEAD, RecordError } from '../../record/tree.ts';
import type { Database } from '../database/database.ts';
import type { RefusedError } from '../errors.ts';
import { type Cosigners, openCosigners } from './cosigners.ts';
import type { Gate } from './gate.ts';
import { entryBy, type PlacedEntry, type Published, publishedHead, sizeOf } from './head.ts';
import { policyOf } from './policy.ts';
import { makeKept, openProver, type Prover } from './proofs.ts';
import { mendTiles, publishOnce, type PublisherParts } from './publisher.ts';
import { behindOf, forkedBy, refusalOf } from './standing.ts';
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
  const { database, signer, tiles, log } = parts;
  const policy = policyOf(parts.policy);
  const { growth, inclusion } = openProver(tiles);
  const sizeNow = async (): Promise<number> => database.read(sizeOf());
  const onWord = (): void => void judge();
  const cosigners = openCosigners({ policy, growth, sizeNow, onWord, log });
  const { judge, refuseOf, seen } = openJudge(parts, policy, cosigners);
  const kept = makeKept<TlogProof>(PROOFS_KEPT_MAX);
  judge();
  return {
    policy: parts.policy,
    published: async () => database.read(publishedHead()),
    entry: async (digest) => database.read(entryBy(digest)),
    prove: async (index, { size, checkpoint }) => {
      const known = kept.get(String(index));
      if (known !== undefined) return known;
      if (checkpoint === null || index >= size) throw notYet();
      const proof = { index, hashes: await inclusion(index, size), checkpoint };
      kept.set(String(index), proof);
      return proof;
    },
    growth,
    tile: tiles.read,
    seen,
    run: async (signal) => {
      const publisher = { database, tiles, signer, cosigners, log };
      while (!signal.aborted) {
        try {
          await compare({ ...publisher, judge }, signal);
          await database.lead(signal, async (leading) =>
            lead({ ...publisher, judge, gate: parts.gate }, leading),
          );
        } catch (error) {
          if (signal.aborted) return;
          refuseOf(error);
          log.error({ error, sentence: sentenceOf(error) }, 'record not published');
          await pause(signal);
        }
      }
    },
  };
}

type Judge = () => RefusedError | undefined;

type Judging = {
  readonly judge: Judge;
  /** Shuts the gate for good when what went wrong is that there is another history. */
  readonly refuseOf: (error: unknown) => void;
  readonly seen: Promise<void>;
};

/** Opens and shuts the gate by what the witnesses say, and says so once each time. */
function openJudge(
  { gate, log }: RecordParts,
  policy: Policy,
  { words }: Pick<Cosigners, 'words'>,
): Judging {
  const seen = Promise.withResolvers<void>();
  let said: string | undefined;
  /** What our own tiles say stays said until a restart. */
  let fork: RefusedError | undefined;
  const judge = (): RefusedError | undefined => {
    const refusal = fork ?? refusalOf(policy, words);
    gate.set(refusal);
    // Before each of them was asked nothing is wrong yet.
    const isSettled = fork !== undefined || words.size === policy.witnesses.size;
    if (refusal !== undefined && isSettled && refusal.code !== said) {
      log.error({ code: refusal.code, sentence: refusal.message }, 'record refuses writes');
    }
    said = isSettled ? refusal?.code : undefined;
    if (refusal === undefined || isSettled) seen.resolve();
    return refusal;
  };
  const refuseOf = (error: unknown): void => {
    if (!(error instanceof RecordError)) return;
    const { sizeSeen } = error.facts;
    if (error.code === 'HEAD_FORKED') fork = forkedBy('in its own tiles');
    if (error.code === 'HEAD_STALE') fork = behindOf(Number(sizeSeen));
    judge();
  };
  return { judge, refuseOf, seen: seen.promise };
}

type Running = PublisherParts & { readonly judge: Judge };

/** Asks about what was published last until enough witnesses say that they saw nothing newer. */
async function compare(running: Running, signal: AbortSignal): Promise<void> {
  const { database, signer, cosigners, judge } = running;
  while (!signal.aborted && judge() !== undefined) {
    const { size, checkpoint } = await database.read(publishedHead());
    const head = { size, checkpoint: checkpoint ?? signCheckpoint(EMPTY_HEAD, signer) };
    await cosigners.collect(head, roundOf(signal)).catch(() => undefined);
    if (judge() !== undefined) await pause(signal);
  }
}

/** Publishes as the one process that does. */
async function lead(running: Running & { gate: Gate }, signal: AbortSignal): Promise<void> {
  await mendTiles(running);
  while (!signal.aborted) {
    const round = roundOf(signal);
    const isMore = await publishOnce(running, round).catch((error: unknown) => {
      const isOutdated = codeOf(error) === 'QUORUM_MISSING';
      if (!round.aborted && !isOutdated) throw error;
      return isOutdated;
    });
    running.judge();
    if (!isMore) await running.gate.next(LOOK_EVERY_MS, signal);
  }
}

function roundOf(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]);
}

/** What is said of an entry that is on the record and not seen by enough witnesses yet. */
export function notYet(): RecordError {
  const sentence = 'This is on the record and its witnesses have not seen it yet; ask again soon.';
  return new RecordError('QUORUM_MISSING', sentence);
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
}
