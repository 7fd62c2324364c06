import type { Prices } from '../../capacity/price.ts';
import type { AgentParts } from '../agent.ts';
import type { FenceHolder } from '../disks/fence.ts';
import type { Holdings } from '../holdings.ts';
import type { Images } from '../images.ts';
import { type Ground as WishGround, imagesOf } from '../wishes.ts';

export type WishParts = {
  readonly holdings: Holdings;
  readonly images: Images;
  readonly fence: FenceHolder;
};

type Trusted = Pick<WishGround, 'isClockSynced' | 'mayStart'>;

/** What this start of the machine may go by. */
export type Trust = {
  readonly now: () => Trusted;
  /** From now on this is so. */
  readonly gain: (what: keyof Trusted) => void;
};

/** Opens it with what an agent before this one knew in the same boot. */
export function openTrust({ isSynced }: AgentParts['clock'], wake: () => void): Trust {
  let now: Trusted = { isClockSynced: isSynced, mayStart: isSynced };
  return {
    now: () => now,
    gain: (what) => {
      now = { ...now, [what]: true };
      wake();
    },
  };
}

/** What the wishes lean on now; what is past its end is no wish any more. */
export function groundOf(
  { self, clock }: AgentParts,
  { holdings, images, fence }: WishParts,
  trust: Trusted,
): Omit<WishGround, 'volumes'> {
  const nowMs = clock.clock();
  if (trust.isClockSynced) holdings.expire(nowMs);
  const contracts = fence.isFenced() ? [] : [...holdings.held.values()];
  images.want(imagesOf(contracts));
  const { endOf } = holdings.peers;
  const { fetchOf } = images;
  return { node: self.identity.id, contracts, nowMs, ...trust, fetchOf, endOf };
}

/** What contracts are held against. */
export function ownOf({ self, offer: { total, class: nodeClass, current } }: AgentParts) {
  const standing = (): ReadonlyMap<string, Prices> =>
    new Map([[current().id, current().offer.prices]]);
  return { node: self.identity.id, total, class: nodeClass, standing };
}
