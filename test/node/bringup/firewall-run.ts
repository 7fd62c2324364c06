import { listRules, loadRules } from '../../../src/host/net/nft.ts';
import { openTunnelPort } from '../../../src/host/net/firewall.ts';
import { closeFirewall, firewallDriver } from '../../../src/node/bringup/firewall.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';

/** Runs in a network namespace of its own and prints what it saw, one line a look. */
const troubles = openTroubles({ steady: () => 0, say: console.log });
const { observe, create } = firewallDriver(troubles);
const { signal } = new AbortController();
const look = async (what: string): Promise<void> => {
  const isThere = (await observe(signal)).has('host');
  const hasPort = (await listRules()).includes('{ 5000 }');
  console.log(`${what}: ${isThere ? 'closed' : 'open'}${hasPort ? ', tunnel port' : ''}`);
};
await look('bare');
await closeFirewall(troubles);
await look('closed at the start');
await loadRules(openTunnelPort(5000));
await closeFirewall(troubles);
await look('closed again by the next agent');
await loadRules('flush ruleset\n');
await look('flushed by somebody');
await create({}, signal);
await look('put back');
await loadRules('add chain inet zos input { policy accept; }\n');
await look('policy turned to accept');
