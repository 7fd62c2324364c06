import type { NewEntry, Recorder, Write } from './database.ts';
import { run, type Work } from './work.ts';

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

/**
 * The writes of one transaction, each undone alone by its own savepoint when it throws; then what
 * they put on the record, and the revisions of the nodes that they touched.
 */
export function* runBatch(
  jobs: readonly Job[],
  recorder: Pick<Recorder, 'append' | 'check'>,
): Work<Batch> {
  const [outcomes, entries]: [Outcome[], NewEntry[]] = [[], []];
  const touched = new Set<string>();
  for (const job of jobs) {
    const done = yield* runJob(job, recorder.check);
    outcomes.push(done.outcome);
    entries.push(...done.entries);
    for (const node of done.nodes) touched.add(node);
  }
  if (entries.length > 0) yield* recorder.append(entries);
  // In one order, so that two processes that touch the same nodes never wait for each other.
  const nodes = [...touched].toSorted();
  for (const node of nodes) {
    yield* run('UPDATE nodes SET revision = revision + 1 WHERE id = :node', { node });
  }
  return { outcomes, touched: nodes, entries };
}

type Done = { readonly outcome: Outcome; readonly nodes: string[]; readonly entries: NewEntry[] };

function* runJob(job: Job, check: Recorder['check']): Work<Done> {
  const [nodes, entries]: [string[], NewEntry[]] = [[], []];
  yield* run('SAVEPOINT job');
  try {
    const value = yield* job.write({
      record: (entry) => {
        check();
        entries.push(entry);
      },
      touch: (node) => void nodes.push(node),
    });
    yield* run('RELEASE SAVEPOINT job');
    return { outcome: { job, value }, nodes, entries };
  } catch (error) {
    // A full disk ends the whole transaction by itself: then this throws too, for all of them.
    yield* run('ROLLBACK TO SAVEPOINT job');
    yield* run('RELEASE SAVEPOINT job');
    return { outcome: { job, error }, nodes: [], entries: [] };
  }
}

/** Tells who waits. */
export function settle({ job, value, error }: Outcome): void {
  if (error === undefined) job.resolve(value as never);
  else job.reject(error);
}
