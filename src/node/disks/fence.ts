import { type Fence, verifyFence } from '../../contract/health/lease.ts';
import type { Identity } from '../../identity/document.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import type { Troubles } from '../health/troubles.ts';

export type FenceParts = {
  readonly grid: string;
  readonly node: string;
  /** The kernel's name for this start of the machine. */
  readonly bootId: string;
  readonly troubles: Pick<Troubles, 'set'>;
  readonly say: (text: string) => void;
  readonly onChange: () => void;
};

/** What the directory answered to a sign of life. */
export type Heard = {
  readonly fence?: Envelope | undefined;
  readonly hasRival?: boolean | undefined;
};

/** Whether this machine is the node that it says it is. */
export type FenceHolder = {
  readonly isFenced: () => boolean;
  /** Takes in what was answered; a fence counts if the directory signed it for this start. */
  readonly hear: (heard: Heard) => void;
  /** Whose word counts, once it was met. */
  readonly meet: (directory: Identity) => void;
  /** Resolves when the directory answered for the first time. */
  readonly heard: Promise<void>;
};

/**
 * Opens it with the machine taken for the node, as it is where no directory is to be had. Fenced,
 * it starts nothing, ends what it started, and takes nothing in: it is a copy of a disk, and the
 * machine with the original runs.
 */
export function openFence(parts: FenceParts): FenceHolder {
  const { grid, node, bootId, troubles, say, onChange } = parts;
  const expected = { grid, node, bootId };
  const first = Promise.withResolvers<void>();
  let fence: Fence | null = null;
  let directory: Identity | undefined;
  const read = (envelope: Envelope): Fence | null => {
    if (directory === undefined) return null;
    try {
      return verifyFence(envelope, directory, expected);
    } catch (error) {
      say(`refused fence: ${codeOf(error)} ${sentenceOf(error)}`);
      return null;
    }
  };
  return {
    isFenced: () => fence !== null,
    heard: first.promise,
    meet: (identity) => {
      directory = identity;
    },
    hear: (heard) => {
      const before = fence;
      const { fence: told, hasRival = false } = heard;
      fence = told === undefined ? null : read(told);
      troubles.set('NODE_CLONED', sentenceFor(fence, hasRival));
      if ((before === null) !== (fence === null)) onChange();
      first.resolve();
    },
  };
}

function sentenceFor(fence: Fence | null, hasRival: boolean): string | null {
  if (fence !== null) {
    return `this machine runs nothing, as ${fence.because}; take its disk out, or wipe it`;
  }
  if (!hasRival) return null;
  return 'a second machine tried to be this node, with a copy of its disk, and is kept from it';
}
