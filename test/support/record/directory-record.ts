import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../../src/directory/database/database.ts';
import { openLogKey, type OwnIdentity } from '../../../src/directory/keys.ts';
import type { Gate } from '../../../src/directory/record/gate.ts';
import { claimRecord, isUnpublished } from '../../../src/directory/record/head.ts';
import { composePolicy } from '../../../src/directory/record/policy.ts';
import { type DirectoryRecord, openRecord } from '../../../src/directory/record/record.ts';
import { openTileFolder } from '../../../src/directory/record/tiles.ts';
import type { Log } from '../../../src/host/log.ts';
import { formatNoteKey, noteKeyOf } from '../../../src/record/note.ts';

export type RecordWish = {
  readonly folder: string;
  readonly grid: string;
  readonly own: OwnIdentity;
  readonly database: Database;
  readonly gate: Gate;
  /** As `--witness` takes them, and how many of them; all but one unless told. */
  readonly witnesses?: readonly string[];
  readonly quorum?: string;
  readonly log: Log;
};

/** A directory's record over that database, put together as its main program does it. */
export async function openTestRecord(wish: RecordWish): Promise<DirectoryRecord> {
  const { folder, grid, own, database, gate, log, witnesses = [], quorum } = wish;
  const signer = openLogKey(folder, grid);
  const logKey = noteKeyOf(signer.name, 'ed25519', signer.publicKey);
  await database.write(() => claimRecord({ directory: own.id, logKey: formatNoteKey(logKey) }));
  const policy = composePolicy(logKey, { witnesses, quorum });
  const tiles = openTileFolder(join(folder, 'record'));
  return openRecord({ database, gate, signer, policy, tiles, log });
}

/** Waits until everything that is on the record by now is published. */
export async function settle(database: Pick<Database, 'read'>): Promise<void> {
  while (await database.read(isUnpublished())) await sleep(2);
}
