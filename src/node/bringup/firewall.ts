import type { Driver } from '../../lib/driver.ts';
import { NO_DIFFERENCE } from '../../lib/driver.ts';
import { isHostClosed, hostRules } from '../../host/net/firewall.ts';
import { listRules, loadRules } from '../../host/net/nft.ts';

/** Whether the host's rules stand: everything from outside is dropped but what they name. */
async function isClosed(signal?: AbortSignal): Promise<boolean> {
  return isHostClosed(await listRules(signal));
}

/**
 * Closes the machine to the outside before anything else; what stands is left, for it may hold the
 * open ports of tunnels. Throws when it can't: then nothing of the agent goes on.
 */
export async function closeFirewall(): Promise<void> {
  if (!(await isClosed())) await loadRules(hostRules());
}

/** The host's firewall as one thing of the loop: put back when it is gone. */
export function firewallDriver(): Driver<object, object> {
  return {
    kind: 'firewall',
    observe: async (signal) => new Map((await isClosed(signal)) ? [['host', {}]] : []),
    compare: () => NO_DIFFERENCE,
    // The tunnels' ports are opened again by the znets, which see that they are closed.
    create: async (_spec, signal) => loadRules(hostRules(), signal),
    update: async () => undefined,
    remove: async () => undefined,
  };
}
