import { appendFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { completeDraft, type Draft, startDraft } from '../../artifact/fetch.ts';
import { fetchMetadata, type KnownMetadata } from '../../artifact/release/fetch-metadata.ts';
import { checkLowest, type Floor, floorOf } from '../../artifact/release/floor.ts';
import { checkExpiry, type Release } from '../../artifact/release/metadata.ts';
import type { BootRecord } from '../../artifact/spec.ts';
import { kernelReleaseOf, type Target } from '../../artifact/verify.ts';
import { systemTimeMs } from '../../host/clock.ts';
import { codeOf } from '../../lib/errors.ts';
import { concatBytes } from '../../lib/bytes.ts';
import { type CpioEntry, writeCpio } from '../../lib/cpio.ts';

/** The newest release that any mirror could prove. */
export type NewestRelease = {
  readonly release: Release;
  readonly mirror: string;
  /** Names kernel and first stage. */
  readonly kernel: string;
};

export type LookWish = {
  readonly mirrors: readonly string[];
  /** What held before; moves on. */
  readonly known: KnownMetadata;
  /** Of what runs: nothing below it is taken. */
  readonly lowest: Floor;
  readonly onTrouble: (what: string, error: unknown) => void;
  readonly signal: AbortSignal;
};

/** Asks every mirror, as one may be frozen, and takes the newest release that holds. */
export async function lookForRelease(wish: LookWish): Promise<NewestRelease | undefined> {
  let newest: NewestRelease | undefined;
  for (const mirror of wish.mirrors) {
    try {
      const { known, signal } = wish;
      const release = await fetchMetadata({ mirror, known, signal });
      checkExpiry(release, systemTimeMs());
      checkLowest(release, [{ floor: wish.lowest, by: 'this node' }]);
      const isNewer = release.versions.timestamp > (newest?.release.versions.timestamp ?? 0);
      if (isNewer) newest = { release, mirror, kernel: kernelReleaseOf(release.target) };
    } catch (error) {
      wish.signal.throwIfAborted();
      wish.onTrouble(`mirror ${mirror}`, error);
    }
  }
  return newest;
}

export type FetchWish = {
  readonly newest: NewestRelease;
  readonly mirrors: readonly string[];
  readonly folder: string;
  readonly onTrouble: LookWish['onTrouble'];
  readonly signal: AbortSignal;
};

/**
 * Fetches the new system, checked in full, with the record of what it is, into a folder on a ramfs.
 * It gets its name when it may be gone to: see `offerSystem`.
 */
export async function fetchSystem(wish: FetchWish, record: BootRecord): Promise<void> {
  const { newest, folder } = wish;
  const { release, mirror } = newest;
  await emptyFolder(folder);
  const system = release.target('system.erofs');
  const draft = await fetchWhole(wish, system, `${folder}/system.erofs.part`);
  await fetchWhole(wish, release.target('grid.json'), `${folder}/grid.json`);
  await fetchMeasurements(wish);
  const { wireBytes, reusedBytes } = draft;
  const fetched = { mirror, systemSha256: system.sha256, wireBytes, reusedBytes };
  const next: BootRecord = { ...record, ...fetched, ...floorOf(release) };
  await writeFile(`${folder}/boot.json`, JSON.stringify(next), { mode: 0o600 });
}

/** What an honest boot measures; a release of machines without a TPM has none. */
async function fetchMeasurements(wish: FetchWish): Promise<void> {
  const name = 'measurements.json';
  let target: Target;
  try {
    target = wish.newest.release.target(name);
  } catch (error) {
    if (codeOf(error) === 'TARGET_MISSING') return;
    throw error;
  }
  await fetchWhole(wish, target, `${wish.folder}/${name}`);
}

/** From now on PID 1 finds the new system when the agent asks for it. */
export async function offerSystem(folder: string): Promise<void> {
  await rename(`${folder}/system.erofs.part`, `${folder}/system.erofs`);
}

/** Fetches kernel and first stage, checked in full, into a folder on a ramfs. */
export async function fetchKernel(wish: FetchWish): Promise<FetchedKernel> {
  const { newest, folder } = wish;
  await emptyFolder(folder);
  const files = { kernel: `${folder}/vmlinuz`, initramfs: `${folder}/initramfs.cpio` };
  await fetchWhole(wish, newest.release.target('vmlinuz'), files.kernel);
  await fetchWhole(wish, newest.release.target('initramfs.cpio'), files.initramfs);
  return files;
}

export type FetchedKernel = { readonly kernel: string; readonly initramfs: string };

/** Puts files behind a first stage, in the form in which boot servers put the farm file there. */
export async function handOn(
  initramfs: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const members: CpioEntry[] = [];
  for (const [path, from] of Object.entries(files)) {
    const bytes = await readFile(from).catch(() => undefined);
    if (bytes !== undefined) members.push({ path, kind: 'file', bytes });
  }
  // An archive begins at a multiple of four bytes, or the kernel does not find it.
  const { size } = await stat(initramfs);
  const padding = new Uint8Array((4 - (size % 4)) % 4);
  await appendFile(initramfs, concatBytes(padding, writeCpio(members)));
}

/** Removes what was fetched and is not wanted, or no longer. */
export async function emptyFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/** One file from whichever mirror has it; what one of them breaks off goes on at the next. */
async function fetchWhole(wish: FetchWish, target: Target, path: string): Promise<Draft> {
  const { newest, signal } = wish;
  const draft = await startDraft({ target, path });
  const mirrors = [newest.mirror, ...wish.mirrors.filter((each) => each !== newest.mirror)];
  let last: unknown;
  for (const mirror of mirrors) {
    try {
      await completeDraft({ draft, mirror, signal });
      return draft;
    } catch (error) {
      signal.throwIfAborted();
      wish.onTrouble(`${target.name} from ${mirror}`, error);
      last = error;
    }
  }
  throw last;
}
