import type { BootAnswer } from '../../src/artifact/release/answer.ts';
import { checkLowest, isOfRelease, type Remembered } from '../../src/artifact/release/floor.ts';
import { checkExpiry, isExpired, type Release } from '../../src/artifact/release/metadata.ts';
import { ArtifactError, type GridFile } from '../../src/artifact/spec.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import type { BootConsole } from './console.ts';

export type DecisionParts = {
  readonly console: BootConsole;
  /** When this image was made: it is certainly later now. */
  readonly notBeforeMs: number;
  readonly nowMs: () => number;
  readonly setClock: (nowMs: number) => Promise<void>;
  /** What the machine's disks and TPM remember. */
  readonly readFloors: () => Promise<readonly Remembered[]>;
  /** The directory's signed word; none when it does not answer. */
  readonly askDirectory: (grid: GridFile) => Promise<BootAnswer | undefined>;
  /** A time server's unsigned word; none when there is none. */
  readonly askTime: () => Promise<number | undefined>;
};

export type Decide = (release: Release, grid: GridFile) => Promise<void>;

/** A clock that is right to so much is left alone. */
const CLOCK_OFF_MS_MAX = SECOND_MS;

/**
 * Whether a release whose signatures hold may be taken now. The directory that its `grid.json`
 * names tells the time and the lowest versions, signed for a nonce of ours. When it is silent, a
 * machine that remembers what it took before goes on by that, and one that remembers nothing waits:
 * else whoever holds the wire could hand it the oldest release there ever was.
 */
export function openDecision(parts: DecisionParts): Decide {
  const { console } = parts;
  const answers = new Map<string, BootAnswer>();
  return async (release, grid) => {
    const key = JSON.stringify(grid);
    const answer = answers.get(key) ?? (await parts.askDirectory(grid));
    const floors = await parts.readFloors();
    const own = floors.filter(({ floor }) => isOfRelease(floor, release));
    for (const { by } of floors.filter((each) => !own.includes(each))) {
      console.say(`${by} remembers a release of other keys, which counts for nothing here`);
    }
    if (answer === undefined) {
      if (own.length === 0) throw silent(grid);
      await goByHint(parts, release);
    } else {
      if (!answers.has(key)) await goByDirectory(parts, answer);
      answers.set(key, answer);
    }
    checkExpiry(release, parts.nowMs());
    const told = answer?.lowest ?? undefined;
    const all = told === undefined ? own : [...own, { floor: told, by: 'the directory' }];
    checkLowest(release, all);
    console.reached('decided', `by ${all.map(({ by }) => by).join(', ') || 'the directory'}`);
  };
}

async function goByDirectory(parts: DecisionParts, { timeMs }: BootAnswer): Promise<void> {
  const nowMs = Math.max(timeMs, parts.notBeforeMs);
  await moveClock(parts, nowMs);
  parts.console.reached('clock', `${new Date(nowMs).toISOString()} by the directory`);
}

/**
 * Unsigned time is better than a clock with an empty battery, and never before this image. It is
 * asked for only where the machine's own clock can't be right: else whoever answers in a time
 * server's place could make a release look expired, and keep the machine from booting.
 */
async function goByHint(parts: DecisionParts, release: Release): Promise<void> {
  const ownMs = parts.nowMs();
  const isLikely = ownMs >= parts.notBeforeMs && !isExpired(release, ownMs);
  const hintMs = isLikely ? undefined : await parts.askTime();
  const nowMs = Math.max(hintMs ?? ownMs, parts.notBeforeMs);
  await moveClock(parts, nowMs);
  const by = hintMs === undefined ? 'the clock of this machine' : 'a time server, unsigned';
  parts.console.reached('clock', `${new Date(nowMs).toISOString()} by ${by}`);
}

async function moveClock(parts: DecisionParts, nowMs: number): Promise<void> {
  if (Math.abs(nowMs - parts.nowMs()) > CLOCK_OFF_MS_MAX) await parts.setClock(nowMs);
}

function silent({ directory }: GridFile): ArtifactError {
  return new ArtifactError(
    'DIRECTORY_SILENT',
    `${directory.urls.join(', ')} does not answer, and this machine remembers no release that it ` +
      'took before; it waits for the directory, and tries again.',
    { facts: { artifact: 'directory' } },
  );
}
