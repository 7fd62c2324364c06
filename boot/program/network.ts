import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../src/lib/errors.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { loadModules, loadModulesForDevices, readModuleIndex } from '../../src/host/modules.ts';
import { type Lease, leaseOnce } from '../../src/host/net/dhcp.ts';
import { hostRules } from '../../src/host/net/firewall.ts';
import { type Link, listLinks, runIp } from '../../src/host/net/ip.ts';
import { loadRules } from '../../src/host/net/nft.ts';
import type { BootConsole } from './console.ts';

const FIREWALL_MODULES = ['nf_tables', 'nft_ct'];
const LEASE_DEADLINE_MS = 30 * SECOND_MS;
const PAUSE_MS = SECOND_MS;
/** `/etc/resolv.conf` of the image leads here. */
const RESOLVER_PATH = '/run/resolv.conf';

/**
 * From no driver to an address. The firewall drops everything from outside before the first card is
 * even known, and when it can't be loaded the machine stays off the network: that throws. Waiting
 * for a card, a cable or an answer has no end, and is told. Answers what DHCP told.
 */
export async function bringUpNetwork(console: BootConsole): Promise<Lease[]> {
  const index = await readModuleIndex();
  await loadModules(index, FIREWALL_MODULES);
  await loadRules(hostRules());
  console.reached('firewall-closed');
  const { loaded, failed } = await loadModulesForDevices(index);
  console.reached('modules', `loaded ${loaded.length} failed ${failed.length}`);
  const leases = await lease(console);
  for (const { link, address, server } of leases) {
    console.reached('address', `${address} on ${link} from ${server ?? 'an unnamed server'}`);
  }
  const lines = leases.flatMap(({ nameServers }) => nameServers.map((ip) => `nameserver ${ip}\n`));
  await writeFile(RESOLVER_PATH, lines.slice(0, 3).join(''));
  return leases;
}

async function lease(console: BootConsole): Promise<Lease[]> {
  const up = new Set<string>();
  for (;;) {
    const cards = (await listLinks()).filter(isCard);
    const fresh = cards.filter(({ name }) => !up.has(name));
    if (fresh.length > 0) await runIp(fresh.map(({ name }) => `link set dev ${name} up`));
    for (const { name, mac } of fresh) {
      up.add(name);
      console.reached('link-up', `${name} ${mac ?? ''}`);
    }
    if (cards.length === 0) {
      console.say('waits for a network card: none of the drivers here found one');
      await sleep(PAUSE_MS);
      continue;
    }
    try {
      const links = cards.map(({ name }) => name);
      return await leaseOnce({ links, deadlineMs: LEASE_DEADLINE_MS });
    } catch (error) {
      if (codeOf(error) !== 'DHCP_NO_ANSWER') throw error;
      console.say(`waits for an address: no DHCP server answers; ${await cables()}`);
      await sleep(PAUSE_MS);
    }
  }
}

async function cables(): Promise<string> {
  const cards = (await listLinks()).filter(isCard);
  return cards
    .map(({ name, hasCarrier }) => `${name} ${hasCarrier ? 'has' : 'has no'} link`)
    .join(', ');
}

function isCard({ isLoopback, kind }: Link): boolean {
  return !isLoopback && kind === undefined;
}
