import { readText, writeDurably } from '../../host/files.ts';
import type { Identity } from '../../identity/document.ts';
import { type Envelope, parseEnvelope } from '../../identity/envelope.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';
import type { Home, HomeHolder } from '../identity/home.ts';

const FILE_BYTES_MAX = 64 * KiB;

/** A signed word of the farmer, as this node holds it. */
export type WordHolder<T> = {
  readonly current: () => T | null;
  /** Takes a newer one in; throws what the checks throw, and then the one of before stays. */
  readonly take: (word: Envelope) => Promise<void>;
};

export type WordParts = {
  readonly path: string;
  readonly grid: string;
  readonly home: Pick<HomeHolder, 'current'>;
  readonly onBad: (what: string, error: unknown) => void;
};

/** How a kind of word is checked. */
export type WordChecks<T> = {
  readonly name: string;
  readonly verify: (
    envelope: Envelope,
    farmer: Identity,
    expected: { readonly grid: string; readonly farm: string },
  ) => T;
  readonly refuseOlder: (word: T, heldVersion: number) => void;
};

/**
 * Opens the newest word of a kind that this node ever held. Who can write the file can take it
 * away, so that an older one would be taken again, as long as the directory has one; nobody but the
 * farmer can make one. A node that no farmer has yet holds none.
 */
export async function openWord<T extends { readonly version: number }>(
  parts: WordParts,
  checks: WordChecks<T>,
): Promise<WordHolder<T>> {
  const { path, grid, home, onBad } = parts;
  const verify = (envelope: Envelope, { farmer, farm }: Home): T =>
    checks.verify(envelope, farmer, { grid, farm });
  let kept: Envelope | null = null;
  let held: { readonly home: Home | undefined; readonly word: T | null } = {
    home: undefined,
    word: null,
  };
  try {
    const text = await readText(path, FILE_BYTES_MAX);
    if (text !== undefined) kept = parseEnvelope(utf8(text));
  } catch (error) {
    onBad(`stored ${checks.name}`, error);
  }
  const read = (by: Home): T | null => {
    try {
      return kept === null ? null : verify(kept, by);
    } catch (error) {
      onBad(`stored ${checks.name}`, error);
      return null;
    }
  };
  /** Checked anew when it turns out whose node this is. */
  const current = (): T | null => {
    const by = home.current();
    if (held.home !== by) {
      held = { home: by, word: by === undefined ? null : read(by) };
    }
    return held.word;
  };
  return {
    current,
    take: async (envelope) => {
      const by = home.current();
      if (by === undefined) return;
      const word = verify(envelope, by);
      const before = current()?.version ?? 0;
      if (word.version === before) return;
      checks.refuseOlder(word, before);
      await writeDurably({ path, bytes: JSON.stringify(envelope) });
      kept = envelope;
      held = { home: by, word };
    },
  };
}
