import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { completeDraft, type Draft, startDraft } from '../../src/artifact/fetch.ts';
import { fetchMetadata, type KnownMetadata } from '../../src/artifact/release/fetch-metadata.ts';
import {
  CHAIN,
  checkExpiry,
  openTrust,
  type Release,
} from '../../src/artifact/release/metadata.ts';
import { RELEASE_FILES, type Versions } from '../../src/artifact/spec.ts';
import type { Target } from '../../src/artifact/verify.ts';
import { publishFile } from '../release/file.ts';

/** A folder that mirrors a release, and what of it is proven. */
export type MirrorFolder = {
  readonly path: string;
  /** What the files there prove, or what a source proved since. */
  readonly known: KnownMetadata;
  /** Files that are not whole yet, by name: they go on at the next source. */
  readonly drafts: Map<string, Draft>;
};

export type SyncWish = {
  readonly folder: MirrorFolder;
  readonly from: string;
  readonly nowMs: number;
  readonly onProgress: (name: string, haveBytes: number, lengthBytes: number) => void;
  readonly signal: AbortSignal;
};

export type Synced = {
  readonly versions: Versions;
  /** False when the folder had all of it already. */
  readonly isNew: boolean;
  readonly files: number;
  readonly wireBytes: number;
};

/** Opens a folder by the root that is trusted; metadata of a former run is checked again. */
export async function openMirrorFolder(path: string, root: Uint8Array): Promise<MirrorFolder> {
  await mkdir(join(path, 'metadata'), { recursive: true });
  const known: KnownMetadata = { roots: [root] };
  const trust = openTrust(root);
  for (;;) {
    const next = await readFile(join(path, `metadata/${trust.rootVersion() + 1}.root.json`)).catch(
      () => undefined,
    );
    if (next === undefined) break;
    trust.updateRoot(next);
    known.roots.push(new Uint8Array(next));
  }
  for (const role of CHAIN) {
    const bytes = await readFile(join(path, `metadata/${role}.json`)).catch(() => undefined);
    if (bytes !== undefined) known[role] = new Uint8Array(bytes);
  }
  return { path, known, drafts: new Map() };
}

/**
 * Brings a folder up to the release that a source has: metadata that holds and is not older, then
 * every file by length and hash, and only then what machines see. Throws `ArtifactError`; what was
 * fetched until then is kept for the next source.
 */
export async function syncRelease(wish: SyncWish): Promise<Synced> {
  const { folder, from, signal } = wish;
  let wireBytes = 0;
  const onBytes = (lengthBytes: number): void => void (wireBytes += lengthBytes);
  const release = await fetchMetadata({ mirror: from, known: folder.known, signal, onBytes });
  checkExpiry(release, wish.nowMs);
  const known = new Set<string>(RELEASE_FILES);
  const targets = release.names.filter((name) => known.has(name)).map(release.target);
  const next = join(folder.path, '.next');
  await mkdir(next, { recursive: true });
  const missing: Target[] = [];
  for (const target of targets) {
    if ((await sha256Of(join(folder.path, target.name))) !== target.sha256) missing.push(target);
  }
  for (const target of missing) wireBytes += await fetchFile(wish, target);
  const isNew = missing.length > 0 || (await isOtherMetadata(folder));
  if (isNew) await publish(folder, release, missing);
  const { versions } = release;
  return { versions, isNew, files: missing.length, wireBytes };
}

async function fetchFile(wish: SyncWish, target: Target): Promise<number> {
  const { folder, from, signal, onProgress } = wish;
  const { name } = target;
  const before = folder.drafts.get(name);
  const path = join(folder.path, '.next', name);
  const draft =
    before?.target.sha256 === target.sha256 ? before : await startDraft({ target, path });
  folder.drafts.set(name, draft);
  const had = draft.wireBytes;
  await completeDraft({
    draft,
    mirror: from,
    signal,
    onProgress: (haveBytes, lengthBytes) => onProgress(name, haveBytes, lengthBytes),
  });
  folder.drafts.delete(name);
  return draft.wireBytes - had;
}

/** Files, then what names them, the first to be read last: a machine sees the old or the new. */
async function publish(
  { path, known }: MirrorFolder,
  release: Release,
  fresh: readonly Target[],
): Promise<void> {
  for (const { name } of fresh) await rename(join(path, '.next', name), join(path, name));
  const { root } = release.versions;
  for (const [index, bytes] of known.roots.entries()) {
    const version = root - known.roots.length + 1 + index;
    await publishFile(join(path, `metadata/${version}.root.json`), bytes);
  }
  for (const role of CHAIN.toReversed()) {
    const bytes = known[role];
    if (bytes !== undefined) await publishFile(join(path, `metadata/${role}.json`), bytes);
  }
  const names = new Set(release.names);
  for (const name of RELEASE_FILES)
    if (!names.has(name)) await rm(join(path, name), { force: true });
  await rm(join(path, '.next'), { recursive: true, force: true });
}

async function isOtherMetadata({ path, known }: MirrorFolder): Promise<boolean> {
  for (const role of CHAIN) {
    const there = await readFile(join(path, `metadata/${role}.json`)).catch(() => undefined);
    if (there === undefined || !there.equals(known[role] ?? new Uint8Array())) return true;
  }
  const roots = await readdir(join(path, 'metadata'));
  return roots.filter((name) => name.endsWith('.root.json')).length < known.roots.length;
}

async function sha256Of(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const part of createReadStream(path)) hash.update(part as Uint8Array);
    return hash.digest('hex');
  } catch {
    return undefined;
  }
}
