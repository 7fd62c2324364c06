import { writeFile } from 'node:fs/promises';
import type { WayOut } from '../host/courier/errand.ts';
import { loadModule, readModuleIndex } from '../host/modules.ts';
import { keepLeases } from '../host/net/dhcp.ts';
import { runIp } from '../host/net/ip.ts';
import { codeOf, sentenceOf } from '../lib/errors.ts';
import { observeUplinks, RESOLVER_PATH } from './observe.ts';
import { nameServersOf, type Observed, planUplinks, type UplinkStep } from './plan.ts';
import type { UplinkSettings } from './spec.ts';
import { statusOfUplinks, type UplinkStatus } from './status.ts';

export type UplinkGround = {
  /** Whether DHCP is asked as the machine's firmware would. */
  readonly asFirmware: boolean;
  readonly signal?: AbortSignal;
};

export type UplinkView = UplinkStatus & {
  /** What was just done, with what came of it. */
  readonly done: readonly { readonly step: UplinkStep; readonly failure: string | null }[];
  readonly have: Observed;
  readonly way: WayOut;
  /** What it went by. */
  readonly settings: UplinkSettings;
};

/** A card may need the step before; more rounds would be a step that does not take. */
const ROUNDS_MAX = 3;

/**
 * Looks at the links, does what settings want, and looks again. A step that fails is told, and
 * holds up nothing but itself; it is tried again by the next call.
 */
export async function bringUplinks(
  settings: UplinkSettings,
  ground: UplinkGround,
): Promise<UplinkView> {
  const done: { step: UplinkStep; failure: string | null }[] = [];
  let have = await observeUplinks(ground.signal);
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const failed = new Set(done.flatMap((one) => (one.failure === null ? [] : textOf(one.step))));
    const steps = planUplinks(settings, have).filter((step) => !failed.has(textOf(step)));
    if (steps.length === 0) break;
    for (const step of steps) done.push({ step, failure: await failureOf(step, ground) });
    have = await observeUplinks(ground.signal);
  }
  const nameServers = nameServersOf(settings, have);
  const way = { proxy: settings.proxy, nameServers };
  return { ...statusOfUplinks(settings, have), done, have, way, settings };
}

function textOf(step: UplinkStep): string {
  return JSON.stringify(step);
}

async function failureOf(step: UplinkStep, ground: UplinkGround): Promise<string | null> {
  try {
    await applyStep(step, ground);
    return null;
  } catch (error) {
    ground.signal?.throwIfAborted();
    return `${codeOf(error)} ${sentenceOf(error)}`;
  }
}

async function applyStep(step: UplinkStep, { asFirmware, signal }: UplinkGround): Promise<void> {
  const alike = signal === undefined ? {} : { signal };
  if (step.do === 'load') {
    // The module makes a bundle that nobody asked for, unless it is told not to.
    const parameters = step.module === 'bonding' ? 'max_bonds=0' : '';
    await loadModule(await readModuleIndex(), { name: step.module, parameters, ...alike });
  } else if (step.do === 'lease') {
    await keepLeases({ links: step.links, asFirmware, ...alike });
  } else if (step.do === 'resolver') {
    await writeFile(RESOLVER_PATH, resolverText(step.nameServers));
  } else {
    await runIp(linesOf(step), alike);
  }
}

type LinkStep = Exclude<UplinkStep, { do: 'load' | 'lease' | 'resolver' }>;

/** A step in iproute2's own language. */
function linesOf(step: LinkStep): string[] {
  const { link } = step;
  switch (step.do) {
    case 'delete':
      return [`link delete dev ${link}`];
    case 'bond':
      return [`link add name ${link} type bond mode 802.3ad lacp_rate fast miimon 100`];
    case 'free':
      return [`link set dev ${link} nomaster`];
    case 'join':
      // A card joins while it is down, and brings no address along.
      return [
        `link set dev ${link} down`,
        `address flush dev ${link}`,
        `link set dev ${link} master ${step.bond}`,
      ];
    case 'vlan':
      return [`link add link ${step.on} name ${link} type vlan id ${step.id}`];
    case 'mtu':
      return [`link set dev ${link} mtu ${step.mtuBytes}`];
    case 'raise':
      return [`link set dev ${link} up`];
    case 'forget':
      return [`address delete ${step.address} dev ${link}`];
    case 'address':
      return [`address replace ${step.address} dev ${link}`];
    case 'route':
      return [`route replace default via ${step.via} dev ${link} metric ${step.metric} onlink`];
    default:
      return step satisfies never;
  }
}

/** For programs that look names up by the C library: 2 s a server in the place of 5, twice. */
function resolverText(nameServers: readonly string[]): string {
  const lines = nameServers.map((address) => `nameserver ${address}\n`);
  return `${lines.join('')}options timeout:2 attempts:2\n`;
}
