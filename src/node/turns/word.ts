import { readText, writeDurably } from '../../host/files.ts';
import type { IdentityBundle } from '../../identity/bundle.ts';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { type Envelope, parseEnvelope } from '../../identity/envelope.ts';
import { verifyJoinToken } from '../../identity/farm.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';

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
  /** From the boot media: whose farm the node is in is the farmer's own signed word. */
  readonly token: Envelope | null;
  readonly farmer: IdentityBundle | null;
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
 * farmer can make one.
 */
export async function openWord<T extends { readonly version: number }>(
  parts: WordParts,
  checks: WordChecks<T>,
): Promise<WordHolder<T>> {
  const { path, grid, onBad } = parts;
  const home = farmOf(parts);
  const verify = (envelope: Envelope): T | null =>
    home === undefined ? null : checks.verify(envelope, home.farmer, { grid, farm: home.farm });
  let held: T | null = null;
  try {
    const text = await readText(path, FILE_BYTES_MAX);
    if (text !== undefined) held = verify(parseEnvelope(utf8(text)));
  } catch (error) {
    onBad(`stored ${checks.name}`, error);
  }
  return {
    current: () => held,
    take: async (envelope) => {
      const word = verify(envelope);
      if (word === null || word.version === held?.version) return;
      checks.refuseOlder(word, held?.version ?? 0);
      await writeDurably({ path, bytes: JSON.stringify(envelope) });
      held = word;
    },
  };
}

function farmOf(parts: WordParts): { farmer: Identity; farm: string } | undefined {
  const { token, grid, onBad } = parts;
  if (token === null || parts.farmer === null) return undefined;
  try {
    const farmer = verifyIdentity(parts.farmer);
    // Its end is about joining; the farm that it names stays this node's.
    return { farmer, farm: verifyJoinToken(token, { farmer, grid, nowMs: 0 }).farm };
  } catch (error) {
    onBad('join token', error);
    return undefined;
  }
}
