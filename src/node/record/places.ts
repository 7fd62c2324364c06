import { type CarriedPlace, verifyPlace } from '../../contract/record/place.ts';
import { PASSED_MAX, type Wants } from '../../contract/wants.ts';
import {
  type Envelope,
  type PayloadKind,
  payloadTypeOf,
  untrustedPayload,
} from '../../identity/envelope.ts';
import { utf8 } from '../../lib/bytes.ts';
import { ZosError } from '../../lib/errors.ts';
import { entryOf, parseEntry } from '../../record/entry.ts';
import type { RecordWatch } from './watch.ts';

export class PlaceError extends ZosError<'ENTRY_FOREIGN' | 'ENTRY_WITHHELD'> {}

export type PlacesParts = {
  readonly watch: RecordWatch;
  readonly node: string;
  /** Whether a cancellation with this digest was obeyed. */
  readonly isObeyed: (digest: string) => boolean;
  readonly onBad: (what: string, error: unknown) => void;
};

/**
 * Counts the entries for this node that one document of wants proves. An entry that only passed by
 * counts too, but no cancellation does before it was obeyed: to count it and keep it back would be
 * the one lie that pays.
 */
export async function placeWants(parts: PlacesParts, wants: Wants): Promise<void> {
  const { watch, node, isObeyed } = parts;
  const guard = (what: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      parts.onBad(what, error);
    }
  };
  const place = (kind: PayloadKind, signed: Envelope, { seq, proof }: CarriedPlace): void => {
    if (seq === undefined || proof === undefined || proof === null) return;
    const entry = entryOf(payloadTypeOf(kind), untrustedPayload(signed, kind));
    if (kind === 'cancellation' && !isObeyed(entry.digest)) return;
    watch.place({ ...entry, to: { node, seq } }, proof);
  };
  for (const carried of wants.cancellations) {
    guard('place of a cancellation', () => place('cancellation', carried.cancellation, carried));
  }
  for (const carried of wants.contracts) {
    try {
      place('contract', carried.contract, carried);
    } catch {
      // Its own check 8 says why, once.
    }
  }
  const { passed = [] } = wants;
  let withheld: number | undefined;
  for (const { entry: text, proof } of passed) {
    guard('entry of the record', () => {
      const { to, ...entry } = parseEntry(utf8(text));
      if (to?.node !== node) throw new PlaceError('ENTRY_FOREIGN', 'It is for another node.');
      const isEnding = entry.payloadType === payloadTypeOf('cancellation');
      if (isEnding && to.seq > watch.seen().seq && !isObeyed(entry.digest)) {
        verifyPlace({ ...entry, to }, proof, watch.policy);
        withheld ??= to.seq;
        throw new PlaceError('ENTRY_WITHHELD', 'It is a cancellation, which was not handed over.');
      }
      watch.place({ ...entry, to }, proof);
    });
  }
  await watch.close(passed.length < PASSED_MAX, withheld);
}
