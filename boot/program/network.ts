import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, sentenceOf } from '../../src/lib/errors.ts';
import { SECOND_MS } from '../../src/lib/units.ts';
import { useWayOut } from '../../src/host/http.ts';
import { loadModules, loadModulesForDevices, readModuleIndex } from '../../src/host/modules.ts';
import { type Lease, readLease } from '../../src/host/net/dhcp.ts';
import { closeHost } from '../../src/host/net/wall.ts';
import { keepUplinks } from '../../src/uplink/apply-kept.ts';
import type { UplinkView } from '../../src/uplink/apply.ts';
import { familyOf, type UplinkSettings } from '../../src/uplink/spec.ts';
import type { BootConsole } from './console.ts';

const FIREWALL_MODULES = ['nf_tables', 'nft_ct'];
/** How long IPv4 is waited for after IPv6 is there: mirrors and farm files may be behind it. */
const OTHER_FAMILY_MS = 5 * SECOND_MS;

export type Network = AsyncDisposable & {
  /** What DHCP told, on the links that have a lease by now. */
  readonly leases: () => Promise<Lease[]>;
  /** Goes by other settings from now on, and waits until the machine can reach out again. */
  readonly use: (settings: UplinkSettings) => Promise<void>;
};

/**
 * The firewall drops everything from outside before the first card is even known; when it can't be,
 * every card is taken down, and it throws `FirewallError`. Then the drivers of what is there.
 */
export async function closeMachine(console: BootConsole): Promise<void> {
  const index = await readModuleIndex();
  await loadModules(index, FIREWALL_MODULES);
  await closeHost();
  console.reached('firewall-closed');
  const { loaded, failed } = await loadModulesForDevices(index);
  console.reached('modules', `loaded ${loaded.length} failed ${failed.length}`);
}

/**
 * From cards to an address, and kept so while the first stage lasts. Waiting for a card, a cable or
 * an answer has no end, and is told.
 */
export async function bringUpNetwork(
  console: BootConsole,
  settings: UplinkSettings,
): Promise<Network> {
  const ending = new AbortController();
  let now = settings;
  const follower = followViews(console, () => now);
  const kept = keepUplinks(
    {
      settings: () => now,
      ground: { asFirmware: true },
      onView: follower.see,
      onTrouble: (error) => console.say(`the network: ${codeOf(error)} ${sentenceOf(error)}`),
      sleep: async (ms, signal) => {
        await sleep(ms, undefined, { signal }).catch(() => undefined);
      },
      steady: () => performance.now(),
    },
    ending.signal,
  );
  await follower.isReachable();
  return {
    leases: async () => {
      const leases = await Promise.all((follower.view()?.have.leased ?? []).map(readLease));
      return leases.filter((lease) => lease !== undefined);
    },
    use: async (other) => {
      now = other;
      await follower.isReachable();
    },
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await kept;
    },
  };
}

/** Tells what changes from look to look, and when the machine can reach out. */
function followViews(console: BootConsole, settings: () => UplinkSettings) {
  let last: UplinkView | undefined;
  let reachable = Promise.withResolvers<void>();
  let firstAtMs: number | undefined;
  const told = new Set<string>();
  const tell = (stage: string, detail: string): void => {
    if (!told.has(`${stage} ${detail}`)) console.reached(stage, detail);
    told.add(`${stage} ${detail}`);
  };
  return {
    view: () => last,
    see: (view: UplinkView): void => {
      last = view;
      useWayOut(view.way);
      for (const { name, isUp, permanentMac = '', isLoopback } of view.have.links) {
        if (isUp && !isLoopback) tell('link-up', `${name} ${permanentMac}`);
      }
      for (const { step, failure } of view.done) {
        if (failure !== null) console.say(`can't ${step.do}: ${failure}`);
      }
      for (const { address, link } of view.addresses) tell('address', `${address} on ${link}`);
      console.waits('network', view.waits.length === 0 ? null : view.waits.join('; '));
      const isFour = view.addresses.some(({ address }) => familyOf(address) === 4);
      if (view.addresses.length > 0) firstAtMs ??= performance.now();
      const waitedMs = performance.now() - (firstAtMs ?? performance.now());
      const isSettled = isFour || view.have.leased === null || waitedMs > OTHER_FAMILY_MS;
      const isOurs = view.settings === settings();
      if (isOurs && view.addresses.length > 0 && isSettled) reachable.resolve();
    },
    isReachable: async (): Promise<void> => {
      reachable = Promise.withResolvers();
      firstAtMs = undefined;
      await reachable.promise;
    },
  };
}
