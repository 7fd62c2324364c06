import { createHash } from 'node:crypto';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { fetchParts, type HttpAnswer, HttpError } from '../host/http.ts';
import { KiB, MiB, SECOND_MS } from '../lib/units.ts';
import { ArtifactError } from './spec.ts';
import { missingPieces, type Piece, type Target } from './verify.ts';

export type FetchLimits = {
  /** A mirror that is slower than this, over the whole file and some grace, is given up. */
  readonly bytesPerSecondMin: number;
  readonly graceMs: number;
  /** The longest pause between two parts. */
  readonly idleMs: number;
  /** For each file of metadata. */
  readonly metadataMs?: number;
};

const LIMITS: FetchLimits = {
  bytesPerSecondMin: 64 * KiB,
  graceMs: 30 * SECOND_MS,
  idleMs: 15 * SECOND_MS,
};
/** Breaks in a row without one more byte, after which a mirror is given up. */
const STALLS_MAX = 2;
const COPY_BYTES = MiB;

/** A file being put together; what is still missing goes on at the next mirror. */
export type Draft = {
  readonly target: Target;
  readonly path: string;
  missing: Piece[];
  /** Whose bytes are in it: when the whole does not match, only a single source can be blamed. */
  readonly sources: Set<string>;
  wireBytes: number;
  reusedBytes: number;
};

const FIRST_STAGE = 'first stage';

/**
 * Starts a file, with the bytes that are in `reusePath` already. Nothing of it is trusted before
 * `completeDraft` returns. Throws `ArtifactError`.
 */
export async function startDraft(wish: {
  readonly target: Target;
  readonly path: string;
  readonly reusePath?: string;
}): Promise<Draft> {
  const { target, path, reusePath } = wish;
  const draft: Draft = {
    target,
    path,
    missing: missingPieces(target.lengthBytes, []),
    sources: new Set(),
    wireBytes: 0,
    reusedBytes: 0,
  };
  await using file = await open(path, 'w', 0o600);
  await file.truncate(target.lengthBytes);
  if (reusePath === undefined || target.reuse.length === 0) return draft;
  if (!(await copyRuns(target, reusePath, file))) return draft;
  draft.missing = missingPieces(target.lengthBytes, target.reuse);
  draft.reusedBytes = target.reuse.reduce((sum, [, lengthBytes]) => sum + lengthBytes, 0);
  draft.sources.add(FIRST_STAGE);
  return draft;
}

/** False when the first stage does not have these bytes: then all of it is fetched. */
async function copyRuns(target: Target, reusePath: string, to: FileHandle): Promise<boolean> {
  try {
    await using from = await open(reusePath, 'r');
    const buffer = Buffer.alloc(COPY_BYTES);
    for (const [offsetBytes, lengthBytes, fromBytes] of target.reuse) {
      for (let done = 0; done < lengthBytes;) {
        const wanted = Math.min(COPY_BYTES, lengthBytes - done);
        const { bytesRead } = await from.read(buffer, 0, wanted, fromBytes + done);
        if (bytesRead === 0) return false;
        await to.write(buffer, 0, bytesRead, offsetBytes + done);
        done += bytesRead;
      }
    }
    return true;
  } catch {
    return false;
  }
}

export type DraftWish = {
  readonly draft: Draft;
  readonly mirror: string;
  readonly signal?: AbortSignal;
  readonly limits?: FetchLimits;
  readonly onProgress?: (haveBytes: number, lengthBytes: number) => void;
};

/**
 * Fetches what is missing from one mirror and checks length and SHA-256 of the whole file, as it
 * then lies there. When bytes of several sources do not match together, all of it is fetched from
 * this mirror alone, once. Throws `ArtifactError`; the draft can go on at another mirror.
 */
export async function completeDraft(wish: DraftWish): Promise<void> {
  const { draft, mirror } = wish;
  await fetchMissing(wish);
  if ((await sha256OfFile(draft.path)) === draft.target.sha256) return;
  const isMixed = draft.sources.size > 1 || !draft.sources.has(mirror);
  resetDraft(draft);
  if (isMixed) {
    await fetchMissing(wish);
    if ((await sha256OfFile(draft.path)) === draft.target.sha256) return;
    resetDraft(draft);
  }
  throw new ArtifactError(
    'DIGEST_MISMATCH',
    `${draft.target.name} from this mirror is not the file that was signed.`,
    { facts: { artifact: draft.target.name, mirror } },
  );
}

function resetDraft(draft: Draft): void {
  draft.missing = missingPieces(draft.target.lengthBytes, []);
  draft.sources.clear();
  draft.reusedBytes = 0;
}

/** One file from one mirror, whole; for small files. Throws `ArtifactError`. */
export async function fetchTarget(wish: {
  readonly target: Target;
  readonly mirror: string;
  readonly path: string;
  readonly signal?: AbortSignal;
}): Promise<number> {
  const draft = await startDraft(wish);
  const signal = wish.signal === undefined ? {} : { signal: wish.signal };
  await completeDraft({ draft, mirror: wish.mirror, ...signal });
  return draft.wireBytes;
}

async function fetchMissing(wish: DraftWish): Promise<void> {
  const { draft, limits = LIMITS } = wish;
  const deadline = AbortSignal.timeout(allowedMs(draft.target, limits));
  const signal = wish.signal === undefined ? deadline : AbortSignal.any([wish.signal, deadline]);
  await using file = await open(draft.path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  await file.truncate(draft.target.lengthBytes);
  for (let stalls = 0, before = bytesOf(draft.missing); draft.missing.length > 0;) {
    try {
      await fetchPiece({ ...wish, file, limits, signal });
    } catch (error) {
      const left = bytesOf(draft.missing);
      stalls = left < before ? 0 : stalls + 1;
      before = left;
      const isBreak = error instanceof HttpError && error.code === 'HTTP_BROKEN_OFF';
      if (!isBreak || stalls >= STALLS_MAX || signal.aborted) throw named(wish, error);
    }
  }
}

function allowedMs(target: Target, limits: FetchLimits): number {
  return Math.ceil(limits.graceMs + (target.lengthBytes / limits.bytesPerSecondMin) * SECOND_MS);
}

type PieceWish = DraftWish & {
  readonly signal: AbortSignal;
  readonly limits: FetchLimits;
  readonly file: FileHandle;
};

/** The first missing piece; what came of it is no longer missing, however it ends. */
async function fetchPiece(wish: PieceWish): Promise<void> {
  const { draft, mirror, file, limits } = wish;
  const { target } = draft;
  const [piece = { offsetBytes: 0, lengthBytes: 0 }] = draft.missing;
  const isWhole = piece.lengthBytes === target.lengthBytes;
  let { offsetBytes } = piece;
  let endBytes = piece.offsetBytes + piece.lengthBytes;
  await fetchParts({
    url: `${mirror.replace(/\/+$/u, '')}/${target.name}`,
    headers: isWhole ? {} : { range: `bytes=${offsetBytes}-${endBytes - 1}` },
    deadlineMs: allowedMs(target, limits),
    idleMs: limits.idleMs,
    bytesMax: target.lengthBytes,
    signal: wish.signal,
    onHead: (head) => {
      if (checkHead(wish, head, isWhole ? undefined : piece)) {
        // All of it, asked for or not: this mirror knows no ranges.
        resetDraft(draft);
        [offsetBytes, endBytes] = [0, target.lengthBytes];
      }
      draft.sources.add(mirror);
    },
    onPart: async (part) => {
      if (offsetBytes + part.length > endBytes) throw lengthError(wish, 'more');
      await writeAll(file, part, offsetBytes);
      offsetBytes += part.length;
      draft.wireBytes += part.length;
      shorten(draft, part.length);
      wish.onProgress?.(target.lengthBytes - bytesOf(draft.missing), target.lengthBytes);
    },
  });
  if (offsetBytes < endBytes) throw lengthError(wish, 'less');
}

/** Whether the answer is the whole file; throws when it is neither that nor the piece asked for. */
function checkHead(
  { draft, mirror }: DraftWish,
  { status, headers }: Omit<HttpAnswer, 'body'>,
  piece: Piece | undefined,
): boolean {
  const { name, lengthBytes } = draft.target;
  const facts = { artifact: name, mirror, status };
  const announced = Number(headers['content-length'] ?? Number.NaN);
  if (status !== 200 && status !== 206) {
    throw new ArtifactError('HTTP_STATUS', `${mirror} answered ${status} for ${name}.`, { facts });
  }
  const isAll = status === 200;
  const expected = isAll ? lengthBytes : (piece?.lengthBytes ?? Number.NaN);
  const end = (piece?.offsetBytes ?? 0) + expected - 1;
  const range = `bytes ${piece?.offsetBytes}-${end}/${lengthBytes}`;
  const isRange = isAll || headers['content-range'] === range;
  if (!isRange || (!Number.isNaN(announced) && announced !== expected)) {
    throw lengthError({ draft, mirror }, isRange ? `${announced}` : 'other');
  }
  return isAll;
}

function lengthError({ draft, mirror }: DraftWish, offered: string): ArtifactError {
  const { name, lengthBytes } = draft.target;
  return new ArtifactError(
    'LENGTH_MISMATCH',
    `${mirror} has ${offered} bytes of ${name} where ${lengthBytes} are signed for.`,
    { facts: { artifact: name, mirror } },
  );
}

function shorten(draft: Draft, lengthBytes: number): void {
  const [first, ...rest] = draft.missing;
  if (first === undefined) return;
  const left = first.lengthBytes - lengthBytes;
  const offsetBytes = first.offsetBytes + lengthBytes;
  draft.missing = left > 0 ? [{ offsetBytes, lengthBytes: left }, ...rest] : rest;
}

function bytesOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
}

async function writeAll(file: FileHandle, part: Uint8Array, offsetBytes: number): Promise<void> {
  try {
    for (let done = 0; done < part.length;) {
      const { bytesWritten } = await file.write(part, done, part.length - done, offsetBytes + done);
      done += bytesWritten;
    }
  } catch (cause) {
    throw new ArtifactError('NO_ROOM', 'It could not be written down; is there room left?', {
      cause,
    });
  }
}

function named({ draft, mirror }: DraftWish, cause: unknown): unknown {
  if (!(cause instanceof HttpError)) return cause;
  const facts = { ...cause.facts, artifact: draft.target.name, mirror };
  return new ArtifactError(cause.code, cause.message, { facts, cause });
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await using file = await open(path, 'r');
  for await (const part of file.createReadStream({ highWaterMark: MiB, autoClose: false })) {
    hash.update(part as Uint8Array);
  }
  return hash.digest('hex');
}
