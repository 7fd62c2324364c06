import { keepLastWords } from '../../host/reset/pstore.ts';
import {
  areModulesClosed,
  closeModules,
  loadModules,
  loadModulesForDevices,
  readModuleIndex,
} from '../../host/modules.ts';
import { ownAddresses } from '../../host/net/ip.ts';
import type { ModuleIndex } from '../../lib/modalias.ts';
import { sentenceOf } from '../../lib/errors.ts';
import { openDisks, type OpeningParts, type OwnDisks } from '../disks/opening.ts';
import type { AgentConsole } from './console.ts';
import { closeFirewall } from './firewall.ts';
import { hardenKernel } from '../../host/kernel/hardening.ts';
import type { Network } from './network.ts';

const FIREWALL_MODULES = ['nf_tables', 'nft_ct'];
const MODULES = ['wireguard', 'veth', 'erofs', 'ext4'];
/** Also where no disk is for volumes yet: later the kernel takes no more. */
const VOLUME_MODULES = ['loop', 'xts', 'dm_crypt', 'xfs', 'btrfs'];
/** What a processor may not have; others are slower without. */
const FAST_MODULES = ['aesni_intel'];

/** Firewall, drivers, network and data disk, in this order; each step can be done again. */
export async function bringUpMachine(
  parts: OpeningParts & { readonly network: Network },
): Promise<OwnDisks> {
  const { console, troubles, network, signal } = parts;
  const index = await readModuleIndex();
  await loadModules(index, FIREWALL_MODULES, signal);
  const faults = await hardenKernel();
  troubles.set('KERNEL_SOFT', faults.length === 0 ? null : faults.join('; '));
  await closeFirewall(troubles, signal);
  console.reached('firewall-closed');
  await loadDrivers(index, console, signal);
  await keepLastWords(index, signal).catch((error: unknown) => {
    console.say(`a panic will leave no last words: ${sentenceOf(error)}`);
  });
  await network.bringUp();
  console.reached('network', ownAddresses().join(' '));
  const disk = await openDisks(parts);
  await loadModules(index, FAST_MODULES, signal);
  const { failed: missing } = await loadModules(index, VOLUME_MODULES, signal);
  if (missing.length > 0) console.say(`modules missing for volumes: ${missing.join(' ')}`);
  // Nothing that is broken into later can have the kernel take code of its own.
  await closeModules();
  console.reached('modules-closed');
  return disk;
}

/** A start of the agent after the first one in this boot finds the kernel closed to modules. */
async function loadDrivers(
  index: ModuleIndex,
  console: AgentConsole,
  signal: AbortSignal,
): Promise<void> {
  const devices = await loadModulesForDevices(index, signal);
  const named = await loadModules(index, MODULES, signal);
  if (named.failed.length > 0) console.say(`modules missing: ${named.failed.join(' ')}`);
  if (devices.failed.length > 0 && (await areModulesClosed())) {
    console.say(`drivers wait for the machine's next start: ${devices.failed.join(' ')}`);
  }
  console.reached('modules', `loaded ${devices.loaded.length} more`);
}
