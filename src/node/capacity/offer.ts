import type { Prices } from '../../capacity/price.ts';
import { type NodeClass, type Offer, offerSchema, resourcesOf } from '../../capacity/spec.ts';
import type { Resources } from '../../capacity/spec.ts';
import { verifyOffer } from '../../capacity/verify.ts';
import type { Identity } from '../../identity/document.ts';
import {
  type Envelope,
  parseEnvelope,
  type Signer,
  signEnvelope,
} from '../../identity/envelope.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { utf8 } from '../../lib/bytes.ts';
import { KiB } from '../../lib/units.ts';

const FILE_BYTES_MAX = 64 * KiB;

export type SignedOffer = {
  readonly id: string;
  readonly offer: Offer;
  readonly envelope: Envelope;
};

/** What an offer says beside what the farmer asks for it. */
export type OfferContent = Omit<Offer, 'version' | 'prices' | 'termsVersion'>;

/** What the farmer asks, out of terms that were checked. */
export type Asked = { readonly version: number; readonly prices: Prices };

/** The node's offer, which changes with what its farmer asks. */
export type OfferHolder = {
  readonly current: () => SignedOffer;
  /** Asks by these terms from now on; whether that made another offer. */
  readonly ask: (terms: Asked) => Promise<boolean>;
  readonly total: Resources;
  readonly class: NodeClass;
};

type OfferParts = {
  readonly path: string;
  readonly self: Identity;
  readonly signer: Signer;
  readonly content: OfferContent;
};

/** Opens the offer of this boot, by the newest terms that the node holds. */
export async function openOffer(parts: OfferParts, terms: Asked): Promise<OfferHolder> {
  const { content } = parts;
  const renew = async ({ version: termsVersion, prices }: Asked): Promise<SignedOffer> =>
    renewOffer({ ...parts, content: { ...content, termsVersion, prices } });
  let current = await renew(terms);
  return {
    total: resourcesOf(content.capacity),
    class: content.class,
    current: () => current,
    ask: async (wished) => {
      const before = current.id;
      current = await renew(wished);
      return current.id !== before;
    },
  };
}

/**
 * The node's offer: the very one of before while nothing changed, so that contracts which name it
 * stay good, else the next version. A damaged file costs a version, never a wrong offer: what is
 * read has to carry this node's own signature.
 */
export async function renewOffer(parts: {
  readonly path: string;
  readonly self: Identity;
  readonly signer: Signer;
  readonly content: Omit<Offer, 'version'>;
}): Promise<SignedOffer> {
  const { path, self, signer, content } = parts;
  const before = await readOffer(path, self, content.grid);
  if (before !== undefined) {
    const same = offerSchema.parse({ ...content, version: before.offer.version });
    if (JSON.stringify(same) === JSON.stringify(before.offer)) return before;
  }
  const version = (before?.offer.version ?? 0) + 1;
  const envelope = signEnvelope('offer', offerSchema.parse({ ...content, version }), signer);
  await writeDurably({ path, bytes: JSON.stringify(envelope) });
  return offerOf(envelope, self, content.grid);
}

async function readOffer(
  path: string,
  self: Identity,
  grid: string,
): Promise<SignedOffer | undefined> {
  const text = await readText(path, FILE_BYTES_MAX);
  if (text === undefined) return undefined;
  try {
    return offerOf(parseEnvelope(utf8(text)), self, grid);
  } catch {
    return undefined;
  }
}

function offerOf(envelope: Envelope, self: Identity, grid: string): SignedOffer {
  const { id, ...offer } = verifyOffer(envelope, self, grid);
  return { id, offer: offerSchema.parse(offer), envelope };
}
