import { exchange, HttpError } from '../../host/http.ts';
import { type Envelope, ENVELOPE_BYTES_MAX, parseEnvelope } from '../../identity/envelope.ts';
import { fromBase64 } from '../../lib/bytes.ts';
import { sentenceOf } from '../../lib/errors.ts';
import { MiB, SECOND_MS } from '../../lib/units.ts';
import { NOTE_BYTES_MAX } from '../../record/note.ts';
import { POLICY_BYTES_MAX } from '../../record/policy.ts';
import { type Tile, tilePath } from '../../record/tile.ts';
import { RecordError } from '../../record/tree.ts';
import { DirectoryError, openClient } from '../../sdk/client.ts';
import { BotError } from '../errors.ts';

/** 256 entries of the longest that fit in a bundle; ours are far shorter. */
const TILE_BYTES_MAX = 17 * MiB;
const PROOF_BYTES_MAX = 2 * NOTE_BYTES_MAX;
const DEADLINE_MS = 30 * SECOND_MS;

/** What a directory serves of its record; nothing of it is checked here but its length. */
export type RecordSource = {
  /** `undefined` while nothing is published. */
  readonly checkpoint: () => Promise<Uint8Array | undefined>;
  readonly policy: () => Promise<Uint8Array | undefined>;
  readonly tile: (tile: Tile) => Promise<Uint8Array | undefined>;
  /** The `.tlog-proof` file of the entry that commits to a payload of this digest. */
  readonly proof: (digest: string) => Promise<Uint8Array | undefined>;
  /** What an entry commits to, or `undefined` when it is not served. */
  readonly envelope: (digest: string) => Promise<Envelope | undefined>;
  /** The hashes that prove that the tree of `to` entries holds all of that of `from`. */
  readonly growth: (from: number, to: number) => Promise<Uint8Array[]>;
};

/** Opens the record of the directory at this address; its calls throw `HttpError`. */
export function openRecord(baseUrl: string, signal: AbortSignal): RecordSource {
  const base = baseUrl.replace(/\/+$/u, '');
  const client = openClient({ baseUrl, signal });
  const get = async (path: string, bytesMax: number): Promise<Uint8Array | undefined> => {
    const url = `${base}/record/${path}`;
    const answer = await exchange({ url, bytesMax, deadlineMs: DEADLINE_MS, signal });
    if (answer.status === 200) return answer.body;
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) return undefined;
    const sentence = `The directory answered ${answer.status} for its record; try again later.`;
    throw new HttpError('HTTP_STATUS', sentence, { facts: { path, status: answer.status } });
  };
  return {
    checkpoint: async () => get('checkpoint', NOTE_BYTES_MAX),
    policy: async () => get('policy', POLICY_BYTES_MAX),
    tile: async (tile) => get(tilePath(tile), TILE_BYTES_MAX),
    proof: async (digest) => get(`proof/${digest}`, PROOF_BYTES_MAX),
    envelope: async (digest) => {
      const bytes = await get(`envelope/${digest}`, ENVELOPE_BYTES_MAX);
      return bytes === undefined ? undefined : parseEnvelope(bytes);
    },
    growth: async (from, to) => {
      const { proof } = await client.growth(from, to).catch(growthRefused);
      return proof.map((hash) => fromBase64(hash) ?? new Uint8Array());
    },
  };
}

/** A directory that is busy may be asked again; one that has no proof has something to hide. */
function growthRefused(cause: unknown): never {
  const status = cause instanceof DirectoryError ? Number(cause.facts['status'] ?? 400) : 0;
  if (status < 400 || status === 429) throw cause;
  if (status >= 500) throw new HttpError('HTTP_STATUS', sentenceOf(cause), { cause });
  const sentence = 'The directory has no proof that its record holds all that was seen before.';
  throw new RecordError('CONSISTENCY_INVALID', sentence, { cause });
}

/** The answer, or a `BotError` that says what is not there. */
export function required<T>(what: T | undefined, name: string): T {
  if (what !== undefined) return what;
  const sentence = `The directory serves no ${name}; ask again in a moment, or check its address.`;
  throw new BotError('RECORD_MISSING', sentence);
}
