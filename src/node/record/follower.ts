import type { RecordSeen } from '../../contract/receipt.ts';
import { DirectoryError } from '../../sdk/index.ts';
import type { Directory } from '../bringup/directory.ts';
import type { Growth, RecordWatch } from './watch.ts';

/** Keeps a node's view of the record up with the directory's. */
export type Follower = {
  /** What a heartbeat says; nothing in a grid without a record. */
  readonly name: () => { readonly record?: RecordSeen };
  /** What that heartbeat was answered with. */
  readonly hear: (shown: Growth | null) => Promise<void>;
  /** Compares heads that came in proofs; what can't be asked now is asked later. */
  readonly settle: () => Promise<void>;
};

export type FollowerParts = {
  readonly watch: RecordWatch | undefined;
  readonly directory: Directory;
  readonly onTrouble: (what: string, error: unknown) => void;
};

/** Opens what asks the directory for what the watch has to know. */
export function openFollower({ watch, directory, onTrouble }: FollowerParts): Follower {
  const prove = async (from: number, to: number): Promise<readonly string[] | null> => {
    try {
      const { proof } = await directory.call(async (client) => client.growth(from, to));
      return proof;
    } catch (error) {
      if (error instanceof DirectoryError) return null;
      throw error;
    }
  };
  const settle = async (): Promise<void> => {
    await watch?.settle(prove).catch((error: unknown) => onTrouble('record', error));
  };
  return {
    name: () => (watch === undefined ? {} : { record: watch.name() }),
    hear: async (shown) => {
      await watch?.follow(shown);
      await settle();
    },
    settle,
  };
}
