import { checkLowest, type Floor, floorOf } from '../../artifact/release/floor.ts';
import { checkExpiry, verifyMetadata } from '../../artifact/release/metadata.ts';
import { checkMeasurements, filesOf } from '../../sdk/release.ts';
import type { ReleaseBody } from '../../sdk/api.ts';
import { one, run, type Row, type Work } from '../database/work.ts';
import { jsonIn } from '../sql/rows.ts';

export type PublishedRelease = {
  /** The root.json that this directory was started with. */
  readonly trustedRoot: Uint8Array;
  readonly body: ReleaseBody;
  readonly nowMs: number;
};

const RELEASE = 'SELECT * FROM releases WHERE id = 1';

/**
 * Takes metadata as the newest there is, after the checks that a node makes; an older one is
 * refused. Who can write the table can make machines refuse what is good (a floor too high), or
 * take the memory away; no release gets a signature by it. Throws `ArtifactError`.
 */
export function* putRelease(published: PublishedRelease): Work<Floor> {
  const { body } = published;
  const release = verifyMetadata(published.trustedRoot, filesOf(body));
  checkExpiry(release, published.nowMs);
  if (body.measurements !== null) checkMeasurements(release, body.measurements);
  const before = yield* lowestOf();
  if (before !== null) checkLowest(release, [{ floor: before, by: 'this directory' }]);
  const floor = floorOf(release);
  yield* run(
    `INSERT INTO releases (id, floor, published) VALUES (1, :floor, :published)
     ON CONFLICT (id) DO UPDATE SET floor = excluded.floor, published = excluded.published`,
    { floor: JSON.stringify(floor), published: JSON.stringify(body) },
  );
  return floor;
}

/** The versions of the newest release that was published here; `null` before the first. */
export function* lowestOf(): Work<Floor | null> {
  const row: Row | undefined = yield* one(RELEASE);
  return row === undefined ? null : (jsonIn(row, 'floor') as Floor);
}

/** All of it as it was published, for whoever wants to check it too. */
export function* publishedOf(): Work<ReleaseBody | null> {
  const row: Row | undefined = yield* one(RELEASE);
  return row === undefined ? null : (jsonIn(row, 'published') as ReleaseBody);
}
