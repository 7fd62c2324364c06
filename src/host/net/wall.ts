import { ZosError, sentenceOf } from '../../lib/errors.ts';
import { hostRules, isHostClosed } from './firewall.ts';
import { isCard, listLinks, runIp } from './ip.ts';
import { listRules, loadRules } from './nft.ts';

/** `facts.links` are the cards that were taken down. */
export class FirewallError extends ZosError<'FIREWALL_BROKEN'> {}

/**
 * Closes the machine to the outside; rules that stand are left, for they may hold the open ports of
 * tunnels. When that can't be done every network card is taken down, and it throws
 * `FirewallError`: a machine without a firewall is on no network.
 */
export async function closeHost(signal?: AbortSignal): Promise<void> {
  try {
    if (!(await isClosed(signal))) await loadRules(hostRules(), signal);
  } catch (cause) {
    // Whoever aborted this has not said that the rules are broken.
    signal?.throwIfAborted();
    const links = await takeCardsDown();
    throw new FirewallError(
      'FIREWALL_BROKEN',
      `The firewall can't be closed, so every network card is down: ${sentenceOf(cause)}`,
      { cause, facts: { links } },
    );
  }
}

/** Whether the host's rules stand: everything from outside is dropped but what they name. */
export async function isClosed(signal?: AbortSignal): Promise<boolean> {
  // A list that can't be read is no proof of anything.
  const rules = await listRules(signal).catch(() => '');
  return isHostClosed(rules);
}

/** Each by itself: one card that can't be told must not keep the others up. */
async function takeCardsDown(): Promise<string[]> {
  const up = (await listLinks()).filter((link) => isCard(link) && link.isUp);
  await Promise.all(
    up.map(async ({ name }) => runIp([`link set dev ${name} down`]).catch(() => undefined)),
  );
  return up.map(({ name }) => name);
}
