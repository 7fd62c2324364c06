import { verifyPlace } from '../../contract/record/place.ts';
import type { RecordSeen } from '../../contract/receipt.ts';
import { fromBase64, textOf, toBase64, utf8 } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import type { Addressee, Entry } from '../../record/entry.ts';
import type { Policy } from '../../record/policy.ts';
import { checkGrowth } from '../../record/proof.ts';
import { parseTlogProof } from '../../record/tlog-proof.ts';
import { EMPTY_HEAD, RecordError, type TreeHead } from '../../record/tree.ts';
import { type VerifiedCheckpoint, verifyCheckpoint, verifyGrowth } from '../../record/verify.ts';
import { DOUBTS_MAX, type RecordStore } from './store.ts';

/** What the answer to a heartbeat shows: a newer head, and that it grew out of the one held. */
export type Growth = { readonly checkpoint: string; readonly proof: readonly string[] };

/** An entry for one node. */
export type Addressed = Entry & { readonly to: Addressee };

export type Alarm = NonNullable<RecordSeen['alarm']>;

/** What this node holds of the record, and whether the directory still tells it one history. */
export type RecordWatch = {
  readonly policy: Policy;
  readonly seen: () => RecordSeen;
  /** What the next heartbeat says, whose answer then goes to `follow`. */
  readonly name: () => RecordSeen;
  /** While there is one, nothing new is taken. */
  readonly alarm: () => Alarm | null;
  /** Takes the head that a heartbeat was answered with, or raises an alarm. */
  readonly follow: (shown: Growth | null) => Promise<void>;
  /** The directory gives wants and shows no head with them, for longer than it may. */
  readonly miss: () => Promise<void>;
  /** An entry for this node that is proven; its checkpoint is compared by `settle`. */
  readonly place: (entry: Addressed, proof: string) => void;
  /**
   * All of one document of wants was read. `isWhole` says that no entry was left for later, and
   * `withheld` which cancellation stands on the record and was not handed over.
   */
  readonly close: (isWhole: boolean, withheld?: number) => Promise<void>;
  /** Compares heads out of proofs with the one held. Throws when nobody could be asked. */
  readonly settle: (prove: ProveGrowth) => Promise<void>;
};

/** Asks for the proof between two sizes; `null` when the directory answered and gave none. */
export type ProveGrowth = (from: number, to: number) => Promise<readonly string[] | null>;

export type WatchParts = {
  readonly policy: Policy;
  readonly store: RecordStore;
  readonly nowMs: () => number;
  readonly say: (text: string) => void;
  /** An alarm is over: what was put off can be taken. */
  readonly onCalm: () => void;
};

/** Opens what is remembered of the record; a checkpoint that no longer holds is forgotten. */
export async function openWatch(parts: WatchParts): Promise<RecordWatch> {
  const watch = new Watch(parts);
  await watch.load();
  return watch;
}

const UNPROVEN: Alarm = {
  code: 'HEADS_UNPROVEN',
  sentence: 'The directory does not prove that the heads it shows are of one history.',
};

type Held = { readonly note: string; readonly checkpoint: VerifiedCheckpoint };

class Watch implements RecordWatch {
  readonly policy: Policy;
  readonly #parts: WatchParts;
  #held: Held | undefined;
  /** What the last heartbeat named; `#held` may have grown since. */
  #named: Held | undefined;
  #seq = 0;
  /** Numbers above `#seq` that were seen; what is between is missing. */
  readonly #ahead = new Set<number>();
  #doubts: Held[] = [];
  #headAlarm: Alarm | null = null;
  #gapAlarm: Alarm | null = null;
  #saved = '';
  /** Heads are compared one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.policy = parts.policy;
  }

  async load(): Promise<void> {
    const remembered = await this.#parts.store.load();
    if (remembered === undefined) return;
    const { checkpoint, seq, doubts } = remembered;
    this.#seq = seq;
    try {
      if (checkpoint !== null) this.#held = this.#verify(checkpoint);
      this.#doubts = doubts.map((note) => this.#verify(note));
    } catch (error) {
      this.#parts.say(`record forgotten: ${codeOf(error)} ${sentenceOf(error)}`);
    }
  }

  name(): RecordSeen {
    this.#named = this.#held;
    return this.seen();
  }

  seen(): RecordSeen {
    const { size, root } = this.#head();
    return { size, root: toBase64(root), seq: this.#seq, alarm: this.alarm() };
  }

  alarm(): Alarm | null {
    return this.#headAlarm ?? this.#gapAlarm;
  }

  async follow(shown: Growth | null): Promise<void> {
    await this.#inTurn(async () => {
      try {
        this.#take(shown);
      } catch (error) {
        await this.#raise(error, { shown });
        return;
      }
      this.#calm(() => {
        if (this.#headAlarm?.code !== UNPROVEN.code) this.#headAlarm = null;
      });
      await this.#save();
    });
  }

  async miss(): Promise<void> {
    const sentence = 'The directory answers no heartbeat, and so shows no head of its record.';
    await this.#sound({ code: 'HEAD_MISSING', sentence }, {});
  }

  place(entry: Addressed, proof: string): void {
    const { seq } = entry.to;
    if (seq <= this.#seq || this.#ahead.has(seq)) return;
    const { checkpoint } = verifyPlace(entry, proof, this.policy);
    this.#ahead.add(seq);
    while (this.#ahead.delete(this.#seq + 1)) this.#seq += 1;
    const note = textOf(parseTlogProof(fromBase64(proof) ?? new Uint8Array()).checkpoint);
    const known = [this.#held, ...this.#doubts];
    if (!known.some((held) => held?.note === note)) this.#doubts.push({ note, checkpoint });
  }

  async close(isWhole: boolean, withheld?: number): Promise<void> {
    const above = withheld ?? Math.min(...this.#ahead);
    if (this.#ahead.size === 0 && withheld === undefined) {
      this.#calm(() => {
        this.#gapAlarm = null;
      });
    } else if (isWhole || withheld !== undefined) {
      const sentence =
        `The directory shows entry ${above} for this node and keeps back what entry ` +
        `${withheld ?? this.#seq + 1} stands for; a cancellation may be withheld.`;
      await this.#sound({ code: 'ENTRY_WITHHELD', sentence }, { seq: this.#seq, above });
    }
    await this.#save();
  }

  async settle(prove: ProveGrowth): Promise<void> {
    await this.#inTurn(async () => {
      for (const doubt of this.#doubts.slice()) await this.#compare(doubt, prove);
      if (this.#doubts.length === 0) {
        this.#calm(() => {
          if (this.#headAlarm?.code === UNPROVEN.code) this.#headAlarm = null;
        });
      }
      await this.#save();
    });
  }

  async #compare(doubt: Held, prove: ProveGrowth): Promise<void> {
    const head = this.#head();
    const other = doubt.checkpoint.head;
    const [older, newer] = other.size < head.size ? [other, head] : [head, other];
    const isProven = older.size > 0 && older.size < newer.size;
    const hashes = isProven ? await prove(older.size, newer.size) : [];
    if (hashes === null) {
      await this.#sound(UNPROVEN, { doubt: doubt.note });
      return;
    }
    this.#doubts = this.#doubts.filter((each) => each !== doubt);
    try {
      checkGrowth({ older, newer, proof: hashesOf(hashes) });
      if (newer === other) this.#held = doubt;
    } catch (error) {
      await this.#raise(error, { proven: doubt.note, hashes });
    }
  }

  #take(shown: Growth | null): void {
    if (shown === null) {
      if (this.#named === undefined) return;
      throw new RecordError(
        'HEAD_STALE',
        'The directory shows no record any more; tell everybody.',
      );
    }
    const next = this.#verify(shown.checkpoint);
    const seen = this.#named?.checkpoint ?? { ...next.checkpoint, head: EMPTY_HEAD };
    verifyGrowth(seen, next.checkpoint, hashesOf(shown.proof));
    if (this.#held === this.#named) this.#held = next;
    else this.#doubts.push(next);
  }

  #verify(note: string): Held {
    return { note, checkpoint: verifyCheckpoint(utf8(note), this.policy) };
  }

  #head(): TreeHead {
    return this.#held?.checkpoint.head ?? EMPTY_HEAD;
  }

  async #raise(error: unknown, evidence: Record<string, unknown>): Promise<void> {
    const sentence = sentenceOf(error).slice(0, 500);
    await this.#sound({ code: codeOf(error), sentence }, evidence);
  }

  async #sound(alarm: Alarm, evidence: Record<string, unknown>): Promise<void> {
    const isGap = alarm.code === 'ENTRY_WITHHELD';
    const before = isGap ? this.#gapAlarm : this.#headAlarm;
    if (isGap) this.#gapAlarm = alarm;
    else this.#headAlarm = alarm;
    if (before?.code === alarm.code) return;
    const { say, store, nowMs } = this.#parts;
    say(`ALARM ${alarm.code}: ${alarm.sentence} Nothing new starts here meanwhile.`);
    const atMs = nowMs();
    await store.keepEvidence(atMs, { atMs, alarm, held: this.#held?.note ?? null, ...evidence });
  }

  #calm(change: () => void): void {
    const wasAlarmed = this.alarm() !== null;
    change();
    if (!wasAlarmed || this.alarm() !== null) return;
    this.#parts.say('the alarm is over: the directory shows one whole record');
    this.#parts.onCalm();
  }

  async #save(): Promise<void> {
    if (this.#doubts.length > DOUBTS_MAX) {
      await this.#sound(UNPROVEN, { doubts: this.#doubts.map(({ note }) => note) });
      this.#doubts = this.#doubts.slice(-DOUBTS_MAX);
    }
    const doubts = this.#doubts.map(({ note }) => note);
    const remembered = { checkpoint: this.#held?.note ?? null, seq: this.#seq, doubts };
    const text = JSON.stringify(remembered);
    if (text === this.#saved) return;
    await this.#parts.store.save(remembered);
    this.#saved = text;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    await turn;
  }
}

function hashesOf(encoded: readonly string[]): Uint8Array[] {
  return encoded.map((hash) => fromBase64(hash) ?? new Uint8Array());
}
