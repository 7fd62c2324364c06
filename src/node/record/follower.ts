import type { RecordSeen } from '../../contract/receipt.ts';
import { MINUTE_MS, SECOND_MS } from '../../lib/units.ts';
import { DirectoryError } from '../../sdk/index.ts';
import { type Directory, isFinal } from '../bringup/directory.ts';
import type { Growth, RecordWatch } from './watch.ts';

/** Keeps a node's view of the record up with the directory's. */
export type Follower = {
  /** What a heartbeat says. */
  readonly name: () => { readonly record: RecordSeen };
  /** What that heartbeat was answered with. */
  readonly hear: (shown: Growth | null) => Promise<void>;
  /** Compares heads that came in proofs; what can't be asked now is asked later. */
  readonly settle: () => Promise<void>;
  /** Before wants are taken: a directory that gives some has to answer heartbeats too. */
  readonly look: () => Promise<void>;
  /** Whether two heartbeats in a row were not answered, or none was yet. */
  readonly isSilent: () => boolean;
};

const SILENT_MS = 65 * SECOND_MS;
const MISSED_MS = 3 * MINUTE_MS;
/** So many heads in a row that the directory did not prove, for whatever reason. */
const REFUSALS_MAX = 6;

export type FollowerParts = {
  readonly watch: RecordWatch;
  readonly directory: Directory;
  /** A clock that is never set. */
  readonly steady: () => number;
  readonly onTrouble: (what: string, error: unknown) => void;
};

/** Opens what asks the directory for what the watch has to know. */
export function openFollower(parts: FollowerParts): Follower {
  const { watch, directory, steady, onTrouble } = parts;
  let heardMs: number | undefined;
  /** When wants came for the first time since a heartbeat was answered. */
  let givenMs: number | undefined;
  let refusals = 0;
  const prove = async (from: number, to: number): Promise<readonly string[] | null> => {
    try {
      const { proof } = await directory.call(async (client) => client.growth(from, to));
      refusals = 0;
      return proof;
    } catch (error) {
      if (!(error instanceof DirectoryError)) throw error;
      // It may be busy, or have trouble of its own, but not for ever.
      refusals += 1;
      if (isFinal(error) || refusals >= REFUSALS_MAX) return null;
      throw error;
    }
  };
  const settle = async (): Promise<void> => {
    await watch.settle(prove).catch((error: unknown) => onTrouble('record', error));
  };
  return {
    name: () => ({ record: watch.name() }),
    hear: async (shown) => {
      heardMs = steady();
      givenMs = undefined;
      await watch.follow(shown);
      await settle();
    },
    settle,
    look: async () => {
      givenMs ??= steady();
      if (steady() - givenMs >= MISSED_MS) await watch.miss();
    },
    isSilent: () => heardMs === undefined || steady() - heardMs >= SILENT_MS,
  };
}
