import { networkInterfaces } from 'node:os';
import { keepLastWords } from '../../host/reset/pstore.ts';
import { loadModules, loadModulesForDevices, readModuleIndex } from '../../host/modules.ts';
import { keepLeases } from '../../host/net/dhcp.ts';
import { type Link, listLinks, runIp } from '../../host/net/ip.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { verifyJoinToken } from '../../identity/farm.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { type DataDisk, openDataDisk } from '../../volume/apply.ts';
import type { BootFiles } from './boot-files.ts';
import type { AgentConsole } from './console.ts';
import { closeFirewall } from './firewall.ts';

const FIREWALL_MODULES = ['nf_tables', 'nft_ct'];
const MODULES = ['wireguard', 'veth', 'erofs', 'ext4'];

/** Firewall, drivers, network and data disk, in this order; each step can be done again. */
export async function bringUpMachine(parts: {
  readonly boot: BootFiles;
  readonly console: AgentConsole;
  readonly signal: AbortSignal;
}): Promise<DataDisk> {
  const { boot, console, signal } = parts;
  const index = await readModuleIndex();
  await loadModules(index, FIREWALL_MODULES, signal);
  await closeFirewall();
  console.reached('firewall-closed');
  const { loaded } = await loadModulesForDevices(index, signal);
  const { failed } = await loadModules(index, MODULES, signal);
  if (failed.length > 0) console.say(`modules missing: ${failed.join(' ')}`);
  console.reached('modules', `loaded ${loaded.length} more`);
  await keepLastWords(index, signal).catch((error: unknown) => {
    console.say(`a panic will leave no last words: ${sentenceOf(error)}`);
  });
  await keepNetwork(console, signal);
  const takeBlankDisks = mayTakeBlankDisks(boot, console);
  const disk = await openDataDisk({ takeBlankDisks, signal });
  if (disk.path === null) console.reached('data-in-memory', disk.because.join('; '));
  else console.reached('data-disk', `${disk.disk.path}${disk.isNew ? ' made new' : ''}`);
  return disk;
}

/** The addresses came in the first stage; from here on they are renewed, also without the agent. */
async function keepNetwork(console: AgentConsole, signal: AbortSignal): Promise<void> {
  const cards = (await listLinks({ signal })).filter(isCard);
  const down = cards.filter(({ isUp }) => !isUp);
  if (down.length > 0) {
    await runIp(
      down.map(({ name }) => `link set dev ${name} up`),
      { signal },
    );
  }
  const links = cards.map(({ name }) => name);
  if (links.length > 0) await keepLeases({ links, signal });
  console.reached('network', ownAddresses().join(' '));
}

function isCard({ isLoopback, kind }: Link): boolean {
  return !isLoopback && kind === undefined;
}

/** The machine's addresses that others may reach it by, IPv4 first. */
export function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const reachable = all.filter(({ internal, address }) => !internal && !/^fe80:/iu.test(address));
  const ofFamily = (family: string): string[] =>
    reachable.filter((entry) => entry.family === family).map(({ address }) => address);
  return [...ofFamily('IPv4'), ...ofFamily('IPv6')];
}

/**
 * Only the farmer's signed word lets the node take a disk. The token's end is for joining: a node
 * that joined goes on booting from the same media.
 */
function mayTakeBlankDisks({ media, grid }: BootFiles, console: AgentConsole): boolean {
  const { token, farmer } = media;
  if (token === null || farmer === null) return false;
  try {
    const context = { farmer: verifyIdentity(farmer), grid: grid.grid, nowMs: 0 };
    return verifyJoinToken(token, context).takeBlankDisks;
  } catch (error) {
    console.say(`refused join token: ${codeOf(error)} ${sentenceOf(error)}`);
    return false;
  }
}
