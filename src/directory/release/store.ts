import { checkLowest, type Floor, floorOf } from '../../artifact/release/floor.ts';
import {
  checkExpiry,
  type MetadataFiles,
  verifyMetadata,
} from '../../artifact/release/metadata.ts';
import type { Row, Sql, Transaction } from '../sqlite/database.ts';
import { jsonIn } from '../sqlite/rows.ts';

export type PublishedRelease = {
  /** The root.json that this directory was started with. */
  readonly trustedRoot: Uint8Array;
  readonly files: MetadataFiles;
  readonly nowMs: number;
};

const FLOOR = 'SELECT floor FROM releases WHERE id = 1';

/**
 * Takes metadata as the newest there is, after the checks that a node makes; an older one is
 * refused. Who can write the table can make machines refuse what is good (a floor too high), or
 * take the memory away; no release gets a signature by it. Throws `ArtifactError`.
 */
export function putRelease(transaction: Transaction, published: PublishedRelease): Floor {
  const release = verifyMetadata(published.trustedRoot, published.files);
  checkExpiry(release, published.nowMs);
  const before = lowestOf(transaction);
  if (before !== null) checkLowest(release, [{ floor: before, by: 'this directory' }]);
  const floor = floorOf(release);
  transaction.run(
    'INSERT INTO releases (id, floor) VALUES (1, :floor) ' +
      'ON CONFLICT (id) DO UPDATE SET floor = excluded.floor',
    { floor: JSON.stringify(floor) },
  );
  return floor;
}

/** The versions of the newest release that was published here; `null` before the first. */
export function lowestOf(sql: Sql): Floor | null {
  const row: Row | undefined = sql.one(FLOOR);
  return row === undefined ? null : (jsonIn(row, 'floor') as Floor);
}
