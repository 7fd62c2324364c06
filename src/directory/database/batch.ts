import type { NewEntry, Recorder, Write } from './database.ts';
import { RefusedError } from '../errors.ts';
import { abreast, type Answer, run, type Statement, unheard, type Work } from './work.ts';

/** The most writes that share one transaction, and one flush to the disk. */
export const BATCH_WRITES_MAX = 256;

/** A write that waits for its transaction, and who waits for it. */
export type Job = {
  readonly write: Write<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
};

export type Outcome = { readonly job: Job; readonly value?: unknown; readonly error?: unknown };

export type Batch = {
  readonly outcomes: readonly Outcome[];
  readonly touched: readonly string[];
  readonly entries: readonly NewEntry[];
};

/** A write threw that had changed something: all of the transaction has to be done again. */
export class SpoiltBatch extends Error {}

export type BatchOptions = {
  readonly recorder: Pick<Recorder, 'append' | 'check'>;
  /**
   * Whether each write has a savepoint, by which it is undone alone. Without, one that throws
   * after it changed something throws `SpoiltBatch`: the batch is run again with savepoints.
   */
  readonly hasSavepoints: boolean;
  /** Whether no write needs what another of the batch changed: they go side by side then. */
  readonly isAbreast?: boolean;
};

/**
 * The writes of one transaction, one after the other; then what they put on the record, and the
 * revisions of the nodes that they touched. One that throws is undone alone.
 */
export function* runBatch(jobs: readonly Job[], options: BatchOptions): Work<Batch> {
  const [outcomes, entries]: [Outcome[], NewEntry[]] = [[], []];
  const touched = new Set<string>();
  const { recorder } = options;
  for (const done of yield* runJobs(jobs, options)) {
    outcomes.push(done.outcome);
    entries.push(...done.entries);
    for (const node of done.nodes) touched.add(node);
  }
  if (entries.length > 0) yield* recorder.append(entries);
  // In one order, so that two processes that touch the same nodes never wait for each other.
  const nodes = [...touched].toSorted();
  yield* unheard(...nodes.map(touchNode));
  return { outcomes, touched: nodes, entries };
}

function* touchNode(node: string): Work<void> {
  yield* run('UPDATE nodes SET revision = revision + 1 WHERE id = :node', { node });
}

type Done = { readonly outcome: Outcome; readonly nodes: string[]; readonly entries: NewEntry[] };

function* runJobs(jobs: readonly Job[], options: BatchOptions): Work<readonly Done[]> {
  const { recorder, hasSavepoints, isAbreast = false } = options;
  if (isAbreast && !hasSavepoints) {
    try {
      return yield* abreast(...jobs.map((job) => runJob(job, recorder.check)));
    } catch (error) {
      throw new SpoiltBatch('one of the writes side by side failed', { cause: error });
    }
  }
  const done: Done[] = [];
  const runOne = hasSavepoints ? runUndoably : runJob;
  for (const job of jobs) done.push(yield* runOne(job, recorder.check));
  return done;
}

function* runUndoably(job: Job, check: Recorder['check']): Work<Done> {
  yield* run('SAVEPOINT job');
  try {
    const done = yield* start(job, check);
    yield* run('RELEASE SAVEPOINT job');
    return done;
  } catch (error) {
    // A full disk ends the whole transaction by itself: then this throws too, for all of them.
    yield* run('ROLLBACK TO SAVEPOINT job');
    yield* run('RELEASE SAVEPOINT job');
    return { outcome: { job, error }, nodes: [], entries: [] };
  }
}

function* runJob(job: Job, check: Recorder['check']): Work<Done> {
  let isSpoilt = false;
  try {
    const work = start(job, check);
    let step = work.next();
    while (step.done !== true) {
      isSpoilt ||= !step.value.every(isRead);
      let answers: readonly Answer[];
      try {
        answers = yield step.value;
      } catch (error) {
        isSpoilt = true;
        step = work.throw(error);
        continue;
      }
      step = work.next(answers);
    }
    return step.value;
  } catch (error) {
    if (isSpoilt) throw new SpoiltBatch('a write changed something and threw', { cause: error });
    return { outcome: { job, error }, nodes: [], entries: [] };
  }
}

function* start(job: Job, check: Recorder['check']): Work<Done> {
  const [nodes, entries]: [string[], NewEntry[]] = [[], []];
  const value = yield* job.write({
    record: (entry) => {
      check();
      entries.push(entry);
    },
    touch: (node) => void nodes.push(node),
  });
  return { outcome: { job, value }, nodes, entries };
}

function isRead({ text }: Statement): boolean {
  return /^\s*select\b/iu.test(text);
}

/** Tells who waits. */
export function settle({ job, value, error }: Outcome): void {
  if (error === undefined) job.resolve(value as never);
  else job.reject(error);
}

/** What is said to everybody whose write is not known to be durable. */
export function storeFailed(cause: unknown): RefusedError {
  if (cause instanceof RefusedError) return cause;
  return new RefusedError(
    'STORE_FAILED',
    'The directory could not write this down; send the same again later, for it counts once.',
    { cause },
  );
}
