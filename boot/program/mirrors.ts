import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { kernelReleaseOf } from '../../src/artifact/verify.ts';
import { ZosError } from '../../src/lib/errors.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import {
  completeDraft,
  type Draft,
  type FetchLimits,
  fetchTarget,
  startDraft,
} from '../../src/artifact/fetch.ts';
import { fetchMetadata, type KnownMetadata } from '../../src/artifact/release/fetch-metadata.ts';
import { floorOf } from '../../src/artifact/release/floor.ts';
import type { Release } from '../../src/artifact/release/metadata.ts';
import { type GridFile, parseGridFile, type Versions } from '../../src/artifact/spec.ts';
import type { BootConsole } from './console.ts';

export type ReleaseFetch = {
  readonly mirrors: readonly string[];
  /** The trusted root.json that came with the first stage. */
  readonly root: Uint8Array;
  /** Where `system.erofs` and `grid.json` are put. */
  readonly folder: string;
  /** The first stage's image, whose bytes need not be fetched again. */
  readonly firstStagePath?: string;
  /**
   * Decides whether a release whose signatures hold may be taken now: what time it is, and what
   * was seen before. Throws `ArtifactError`.
   */
  readonly decide: (release: Release, grid: GridFile) => Promise<void>;
  readonly console: BootConsole;
  readonly limits?: FetchLimits;
  readonly signal?: AbortSignal;
  /** How often to go through all mirrors; for ever when there is nothing else to do. */
  readonly roundsMax?: number;
  readonly backOffMs?: number;
};

export type FetchedRelease = {
  readonly mirror: string;
  readonly systemSha256: string;
  readonly versions: Versions;
  /** Names kernel and first stage of the release. */
  readonly kernel: string;
  readonly rootSha256: string;
  readonly wireBytes: number;
  readonly reusedBytes: number;
};

const BACK_OFF_MS = 2 * SECOND_MS;
const BACK_OFF_MS_MAX = 60 * SECOND_MS;

/** What goes on from mirror to mirror: what was proven, and what was fetched. */
type Progress = { readonly known: KnownMetadata; draft: Draft | undefined; wireBytes: number };

/**
 * Fetches and checks the second stage from the first mirror that has it whole and properly signed.
 * Each refusal is told by artifact and code; after the last mirror it starts again with the first.
 * None when `roundsMax` rounds did not help.
 */
export async function fetchRelease(wish: ReleaseFetch): Promise<FetchedRelease | undefined> {
  const { mirrors, console, roundsMax = Number.POSITIVE_INFINITY } = wish;
  const progress: Progress = { known: { roots: [wish.root] }, draft: undefined, wireBytes: 0 };
  for (let round = 1; ; round += 1) {
    for (const mirror of mirrors) {
      const fetched = await tryMirror(wish, progress, mirror);
      if (fetched !== undefined) {
        console.waits('mirror', null);
        return fetched;
      }
    }
    if (round >= roundsMax) return undefined;
    const waitMs = Math.min((wish.backOffMs ?? BACK_OFF_MS) * 2 ** (round - 1), BACK_OFF_MS_MAX);
    const again = `again in ${waitMs / SECOND_MS} s`;
    console.waits('mirror', `a release: no mirror of ${mirrors.length} gave it, ${again}`);
    await sleep(waitMs, undefined, signalOf(wish));
  }
}

async function tryMirror(
  wish: ReleaseFetch,
  progress: Progress,
  mirror: string,
): Promise<FetchedRelease | undefined> {
  const { console } = wish;
  console.reached('mirror', mirror);
  try {
    return await fetchFrom(wish, progress, mirror);
  } catch (error) {
    if (wish.signal?.aborted === true || !(error instanceof ZosError)) throw error;
    const { artifact } = error.facts;
    console.refused({ artifact: typeof artifact === 'string' ? artifact : mirror, error, mirror });
    return undefined;
  }
}

async function fetchFrom(
  wish: ReleaseFetch,
  progress: Progress,
  mirror: string,
): Promise<FetchedRelease> {
  const { console, folder } = wish;
  const release = await fetchMetadata({
    mirror,
    known: progress.known,
    ...(wish.limits?.metadataMs === undefined ? {} : { deadlineMs: wish.limits.metadataMs }),
    onBytes: (lengthBytes) => (progress.wireBytes += lengthBytes),
    ...signalOf(wish),
  });
  const { root, timestamp, targets } = release.versions;
  console.reached('metadata', `root ${root} timestamp ${timestamp} targets ${targets}`);
  const grid = release.target('grid.json');
  const path = join(folder, 'grid.json');
  progress.wireBytes += await fetchTarget({ target: grid, mirror, path, ...signalOf(wish) });
  await wish.decide(release, parseGridFile(new Uint8Array(await readFile(path))));
  if (release.names.includes('measurements.json')) {
    const target = release.target('measurements.json');
    const to = join(folder, target.name);
    progress.wireBytes += await fetchTarget({ target, mirror, path: to, ...signalOf(wish) });
  }
  const draft = await draftOf(wish, progress, release);
  await completeDraft({
    draft,
    mirror,
    onProgress: teller(console),
    ...(wish.limits === undefined ? {} : { limits: wish.limits }),
    ...signalOf(wish),
  });
  const { target, wireBytes, reusedBytes } = draft;
  return {
    mirror,
    systemSha256: target.sha256,
    kernel: kernelReleaseOf(release.target),
    ...floorOf(release),
    wireBytes: progress.wireBytes + wireBytes,
    reusedBytes,
  };
}

/** The draft begun before, unless a newer release has another file by that name. */
async function draftOf(wish: ReleaseFetch, progress: Progress, release: Release): Promise<Draft> {
  const target = release.target('system.erofs');
  if (progress.draft?.target.sha256 === target.sha256) return progress.draft;
  const { firstStagePath } = wish;
  progress.draft = await startDraft({
    target,
    path: join(wish.folder, 'system.erofs'),
    ...(firstStagePath === undefined ? {} : { reusePath: firstStagePath }),
  });
  const { reusedBytes } = progress.draft;
  wish.console.reached('fetching', `system.erofs ${target.lengthBytes} reused ${reusedBytes}`);
  return progress.draft;
}

/** Tells every tenth of the way. */
function teller(console: BootConsole): (haveBytes: number, lengthBytes: number) => void {
  let told = 0;
  return (haveBytes, lengthBytes) => {
    const tenths = Math.floor((haveBytes / lengthBytes) * 10);
    if (tenths > told) console.say(`fetched system.erofs ${tenths * 10} %`);
    told = Math.max(tenths, told);
  };
}

function signalOf({ signal }: ReleaseFetch): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
