import { setTimeout as sleep } from 'node:timers/promises';
import { exchange } from '../../host/http.ts';
import type { Log } from '../../host/log.ts';
import { textOf } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { KiB, SECOND_MS } from '../../lib/units.ts';
import {
  formatNote,
  type NoteKey,
  type NoteSignature,
  parseNote,
  parseSignatures,
  verifyNote,
} from '../../record/note.ts';
import { isQuorum, type Policy, type PolicyParty } from '../../record/policy.ts';
import { RecordError } from '../../record/tree.ts';
import { formatCosignRequest } from '../../record/witness.ts';

const ANSWER_BYTES_MAX = 16 * KiB;
const DEADLINE_MS = 5 * SECOND_MS;
const PAUSE_MS = SECOND_MS;
/** A witness says once how far it is, and then takes the proof from there. */
const TRIES_MAX = 3;

/** What a witness was asked to cosign. */
export type SignedHead = { readonly size: number; readonly checkpoint: Uint8Array };

/** What one witness says of this log. */
export type Word =
  /** It answered, and saw no more than we have. */
  | { readonly is: 'good' }
  | { readonly is: 'silent'; readonly because: string }
  /** It saw more entries than there are here: this database is older than the record. */
  | { readonly is: 'ahead'; readonly sizeSeen: number }
  /** It saw another history. */
  | { readonly is: 'forked' };

export type Cosigners = {
  /** The last word of each that spoke, by the witness's key. */
  readonly words: ReadonlyMap<NoteKey, Word>;
  /**
   * Asks each witness until enough have cosigned, and gives the whole note. A slow one holds up
   * nobody: it is asked for the newest head when it is free again. Throws `RecordError`
   * `QUORUM_MISSING` when too many have seen a newer head of this record already.
   */
  readonly collect: (head: SignedHead, signal: AbortSignal) => Promise<Uint8Array>;
};

export type CosignerParts = {
  readonly policy: Policy;
  /** The proof that a tree grew, out of tiles that are written before anybody is asked. */
  readonly growth: (from: number, size: number) => Promise<Uint8Array[]>;
  /** How many entries the database has by now: another process may have added some. */
  readonly sizeNow: () => Promise<number>;
  /** Called after each word of a witness. */
  readonly onWord: () => void;
  readonly log: Pick<Log, 'warn'>;
};

/** Speaks to the policy's witnesses (c2sp.org/tlog-witness), each at its own pace. */
export function openCosigners(parts: CosignerParts): Cosigners {
  const { policy } = parts;
  const words = new Map<NoteKey, Word>();
  const say = openWords(words, parts);
  const lanes: readonly Lane[] = [...policy.witnesses.values()].map((party) => ({
    party,
    seen: undefined,
    busy: Promise.resolve(),
  }));
  const askOnce = async (lane: Lane, head: SignedHead): Promise<NoteSignature | Word> => {
    try {
      const signature = await ask(lane, head, parts);
      say(lane.party, { is: 'good' });
      return signature;
    } catch (error) {
      const word = await wordOf(error, parts.sizeNow);
      say(lane.party, word);
      return word;
    }
  };
  /** Asks one witness until it cosigns, or the round is over. */
  const follow = async (lane: Lane, { head, signal, take, drop }: Round): Promise<void> => {
    while (!signal.aborted) {
      await lane.busy;
      if (signal.aborted) return;
      const asked = askOnce(lane, head);
      lane.busy = asked.then(() => undefined);
      const answer = await asked;
      if (!('is' in answer)) return take(lane, answer);
      // It has seen more of what is here: this head has no use for it any more.
      if (answer.is === 'good') return drop(lane);
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  return {
    words,
    collect: async (head, signal) => {
      const over = new AbortController();
      const round = AbortSignal.any([over.signal, signal]);
      const gathering = gather(policy, head, lanes);
      signal.addEventListener('abort', () => gathering.fail(signal.reason), { once: true });
      for (const lane of lanes) void follow(lane, { ...gathering, head, signal: round });
      try {
        return await gathering.enough;
      } finally {
        over.abort();
      }
    },
  };
}

type Gathering = Pick<Round, 'take' | 'drop'> & {
  readonly enough: Promise<Uint8Array>;
  readonly fail: (reason: unknown) => void;
};

/** The cosignatures on one head, until they are enough or can't be any more. */
function gather(policy: Policy, head: SignedHead, lanes: readonly Lane[]): Gathering {
  const enough = Promise.withResolvers<Uint8Array>();
  const note = parseNote(head.checkpoint);
  const signatures = [...note.signatures];
  const signed = new Set<NoteKey>();
  const open = new Set(lanes.map(({ party }) => party.key));
  const settle = (): void => {
    if (isQuorum(policy, signed)) enough.resolve(formatNote(note.text, signatures));
  };
  settle();
  return {
    enough: enough.promise,
    fail: enough.reject,
    take: (lane, signature) => {
      signatures.push(signature);
      signed.add(lane.party.key);
      settle();
    },
    drop: (lane) => {
      open.delete(lane.party.key);
      if (!isQuorum(policy, open)) enough.reject(outdated());
    },
  };
}

type Round = {
  readonly head: SignedHead;
  readonly signal: AbortSignal;
  readonly take: (lane: Lane, signature: NoteSignature) => void;
  readonly drop: (lane: Lane) => void;
};

/** Keeps the words of witnesses, and logs when one of them says something else than before. */
function openWords(
  words: Map<NoteKey, Word>,
  { onWord, log }: Pick<CosignerParts, 'onWord' | 'log'>,
): (party: PolicyParty, word: Word) => void {
  const silent = new Set<NoteKey>();
  return ({ key }, word) => {
    const before = silent.has(key) ? 'silent' : words.get(key)?.is;
    if (before !== word.is && (before !== undefined || word.is !== 'good')) {
      log.warn({ witness: key.name, ...word }, 'word of a witness');
    }
    if (word.is === 'silent') silent.add(key);
    else silent.delete(key);
    // Who said once that it saw nothing newer has said so, and need not be there all the time.
    if (word.is !== 'silent' || !words.has(key)) words.set(key, word);
    onWord();
  };
}

type Lane = {
  readonly party: PolicyParty;
  /** How many entries this witness said that it saw last. */
  seen: number | undefined;
  busy: Promise<void>;
};

/** A witness's cosignature on the head; throws what `wordOf` reads. */
async function ask(
  lane: Lane,
  { size, checkpoint }: SignedHead,
  { growth }: CosignerParts,
): Promise<NoteSignature> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    // Who was never asked is thought to be up to date: it says so, or how far it is.
    const olderSize = Math.min(lane.seen ?? size, size);
    const proof = await growth(olderSize, size);
    const answer = await exchange({
      url: `${lane.party.url ?? ''}/add-checkpoint`,
      method: 'POST',
      body: formatCosignRequest({ olderSize, proof, checkpoint }),
      deadlineMs: DEADLINE_MS,
      bytesMax: ANSWER_BYTES_MAX,
    });
    if (answer.status === 200) {
      const signature = readCosignature(answer.body, checkpoint, lane.party.key);
      lane.seen = size;
      return signature;
    }
    const seen = answer.status === 409 ? readSize(answer.body) : undefined;
    if (seen === undefined || seen === olderSize) throw refusalOf(answer.status, olderSize);
    lane.seen = seen;
    if (seen > size) throw aheadOf(seen);
  }
  throw new RecordError('HEAD_STALE', 'The witness names another size each time.');
}

function readCosignature(body: Uint8Array, checkpoint: Uint8Array, key: NoteKey): NoteSignature {
  const signature = parseSignatures(textOf(body)).find(
    ({ name, id }) => name === key.name && id === key.id,
  );
  if (signature === undefined) {
    throw new RecordError('UNTRUSTED', 'The answer is not signed by the witness that was asked.');
  }
  const { text } = parseNote(checkpoint);
  verifyNote(parseNote(formatNote(text, [signature])), [key]);
  return signature;
}

function readSize(body: Uint8Array): number | undefined {
  const [, digits] = /^(0|[1-9]\d{0,15})\n$/u.exec(Buffer.from(body).toString('latin1')) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function refusalOf(status: number, olderSize: number): RecordError {
  // 422: the proof from what it saw does not hold. 409 at the very size: it saw another root there.
  if (status === 422 || status === 409) {
    const sentence = `The witness saw another history of ${olderSize} entries.`;
    return new RecordError('HEAD_FORKED', sentence);
  }
  return new RecordError('UNTRUSTED', `The witness refuses this log: status ${status}.`);
}

function aheadOf(sizeSeen: number): RecordError {
  const sentence = `The witness saw ${sizeSeen} entries, which are more than are here.`;
  return new RecordError('HEAD_STALE', sentence, { facts: { sizeSeen } });
}

function outdated(): RecordError {
  return new RecordError('QUORUM_MISSING', 'A newer head of this record was cosigned already.');
}

async function wordOf(error: unknown, sizeNow: () => Promise<number>): Promise<Word> {
  if (!(error instanceof ZosError)) throw error;
  if (error.code === 'HEAD_FORKED') return { is: 'forked' };
  const { sizeSeen } = error.facts;
  if (typeof sizeSeen !== 'number') return { is: 'silent', because: error.message };
  return sizeSeen <= (await sizeNow()) ? { is: 'good' } : { is: 'ahead', sizeSeen };
}
