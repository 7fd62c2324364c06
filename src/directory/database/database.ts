import type { Work } from './work.ts';

/** What a write puts on the record; `node` where it is addressed to one. */
export type NewEntry = {
  readonly payloadType: string;
  /** SHA-256 of the payload, in hex. */
  readonly digest: string;
  readonly node: string | null;
  /** The envelope that it commits to, as JSON. */
  readonly envelope: string;
};

/** A write under way: what goes on the record with it, and whom to wake once it is durable. */
export type Transaction = {
  readonly record: (entry: NewEntry) => void;
  readonly touch: (node: string) => void;
};

/** One write. It may be run again after a failure of others in its batch, so it only computes. */
export type Write<T> = (transaction: Transaction) => Work<T>;

/** What happens with everything that the writes of one transaction put on the record. */
export type Recorder = {
  /** Called before anything is put on the record; throws `RefusedError` while nothing may be. */
  readonly check: () => void;
  /** Runs in the transaction, after its writes and before its end; throwing undoes them all. */
  readonly append: (entries: readonly NewEntry[]) => Work<void>;
  /** Called once that is durable, of this process or another. */
  readonly appended: () => void;
};

export type Database = {
  /** Reads what is committed, all of it as of one moment. */
  readonly read: <T>(work: Work<T>) => Promise<T>;
  /**
   * Runs a write that books or records, after every other such write of every process, and answers
   * once it is durable. What it throws undoes it, and it alone.
   */
  readonly write: <T>(write: Write<T>) => Promise<T>;
  /** As `write`, for rows of one node or one person that no other write reads to decide. */
  readonly note: <T>(write: Write<T>) => Promise<T>;
  /**
   * Runs `work` while this process is the only one of all that does so; ends when it ends. Where
   * another may have its place, its signal fires, and it is run again when the place is free.
   */
  readonly lead: (
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<void>,
  ) => Promise<void>;
  /** Hands over the nodes whose wants changed; `all` when word of some of them may be lost. */
  readonly onChange: (listener: (nodes: readonly string[] | 'all') => void) => void;
  readonly close: () => Promise<void>;
};

/** For a database whose writes put nothing on a record. */
export const NO_RECORD: Recorder = {
  *append() {
    // Nothing is kept.
  },
  appended: () => undefined,
  check: () => undefined,
};
