import type { Driver } from '../../lib/driver.ts';
import { NO_DIFFERENCE } from '../../lib/driver.ts';
import { sentenceOf } from '../../lib/errors.ts';
import { runIp } from '../../host/net/ip.ts';
import { closeHost, FirewallError, isClosed } from '../../host/net/wall.ts';
import type { Troubles } from '../health/troubles.ts';

/**
 * Closes the machine to the outside before anything else. When that can't be done every card is
 * down, and it throws `FirewallError`: then nothing of the agent goes on.
 */
export async function closeFirewall(troubles: Troubles, signal?: AbortSignal): Promise<void> {
  try {
    await closeHost(signal);
    troubles.set('FIREWALL_BROKEN', null);
  } catch (error) {
    if (error instanceof FirewallError) troubles.set('FIREWALL_BROKEN', sentenceOf(error));
    throw error;
  }
}

/** The host's firewall as one thing of the loop: put back when it is gone. */
export function firewallDriver(troubles: Troubles): Driver<object, object> {
  /** Cards that were taken down for want of a firewall: up again when there is one. */
  const down = new Set<string>();
  return {
    kind: 'firewall',
    observe: async (signal) => new Map((await isClosed(signal)) ? [['host', {}]] : []),
    compare: () => NO_DIFFERENCE,
    // The tunnels' ports are opened again by the znets, which see that they are closed.
    create: async (_spec, signal) => {
      await closeFirewall(troubles, signal).catch((error: unknown) => {
        const links = error instanceof FirewallError ? error.facts['links'] : [];
        if (Array.isArray(links)) for (const link of links) down.add(String(link));
        throw error;
      });
      if (down.size > 0) await runIp([...down].map((name) => `link set dev ${name} up`));
      down.clear();
    },
    update: async () => undefined,
    remove: async () => undefined,
  };
}
