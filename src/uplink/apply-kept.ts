import { bringUplinks, type UplinkGround, type UplinkView } from './apply.ts';
import { signsOfChange } from './observe.ts';
import type { UplinkSettings } from './spec.ts';

export type KeepWish = {
  /** Asked at each look: the first stage may learn more of them on the way. */
  readonly settings: () => UplinkSettings;
  readonly ground: Omit<UplinkGround, 'signal'>;
  readonly onView: (view: UplinkView) => void;
  readonly onTrouble: (error: unknown) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly steady: () => number;
};

/** How late a cable that was pulled, or a card that was put in, is seen. */
const LOOK_MS = 1000;
/** What no file tells: a DNS server that a router names now, a client that ended. */
const LOOK_AGAIN_MS = 20_000;
/** While something is waited for. */
const LOOK_SOON_MS = 5000;

/**
 * Keeps the links as settings want them until the signal fires. While nothing changes it reads some
 * files of `/proc` each second and starts no program.
 */
export async function keepUplinks(wish: KeepWish, signal: AbortSignal): Promise<void> {
  const { settings, ground, onView, onTrouble, sleep, steady } = wish;
  let signs = '';
  let lookedAt = Number.NEGATIVE_INFINITY;
  let againMs = LOOK_AGAIN_MS;
  for (; !signal.aborted; await sleep(LOOK_MS, signal)) {
    const now = `${JSON.stringify(settings())}\n${await signsOfChange()}`;
    if (now === signs && steady() - lookedAt < againMs) continue;
    lookedAt = steady();
    try {
      const view = await bringUplinks(settings(), { ...ground, signal });
      onView(view);
      // What was just done shows in the next look.
      signs = view.done.length === 0 ? now : '';
      againMs = view.waits.length === 0 ? LOOK_AGAIN_MS : LOOK_SOON_MS;
    } catch (error) {
      if (signal.aborted) return;
      onTrouble(error);
    }
  }
}
