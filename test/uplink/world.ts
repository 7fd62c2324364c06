import type { Link } from '../../src/host/net/ip.ts';
import { type Observed, planUplinks, type UplinkStep } from '../../src/uplink/plan.ts';
import { AUTOMATIC, type UplinkSettings, uplinkSettingsSchema } from '../../src/uplink/spec.ts';

/** Settings as a farmer writes them. */
export function settingsOf(text: unknown): UplinkSettings {
  return uplinkSettingsSchema.parse(text);
}

export const AUTO = AUTOMATIC;

/** A link as it is before anybody did something with it. */
export function cardOf(name: string, mac: string, more: Partial<Link> = {}): Link {
  return {
    name,
    index: 2,
    mac,
    permanentMac: mac,
    kind: undefined,
    master: undefined,
    vlan: undefined,
    bond: undefined,
    alias: undefined,
    mtuBytes: 1500,
    isUp: false,
    hasCarrier: false,
    isLoopback: false,
    addresses: [],
    ...more,
  };
}

const LOOPBACK = cardOf('lo', '00:00:00:00:00:00', { isLoopback: true, isUp: true });

/** A machine with these cards that nobody set up. */
export function machineOf(cards: readonly Link[], more: Partial<Observed> = {}): Observed {
  return {
    links: [LOOPBACK, ...cards],
    routes: [],
    modules: [],
    leased: null,
    toldNameServers: [],
    nameServers: [],
    isClosed: true,
    ...more,
  };
}

/** What a step makes of a machine; throws where a kernel would refuse. */
export function afterStep(have: Observed, step: UplinkStep): Observed {
  const change = (name: string, update: (link: Link) => Link): Observed => {
    if (!have.links.some((link) => link.name === name)) throw new Error(`no link ${name}`);
    const links = have.links.map((link) => (link.name === name ? update(link) : link));
    return { ...have, links };
  };
  const need = (module: Observed['modules'][number]): void => {
    if (!have.modules.includes(module)) throw new Error(`${module} is not loaded`);
  };
  const add = (link: Link): Observed => {
    if (have.links.some(({ name }) => name === link.name)) throw new Error(`${link.name} is there`);
    return { ...have, links: [...have.links, link] };
  };
  switch (step.do) {
    case 'load':
      return { ...have, modules: [...have.modules, step.module] };
    case 'delete':
      return deleted(have, step.link);
    case 'bond':
      need('bonding');
      return add(
        cardOf(step.link, '', { kind: 'bond', bond: { mode: '802.3ad', partnerMac: undefined } }),
      );
    case 'free':
      return change(step.link, (link) => ({ ...link, master: undefined }));
    case 'join':
      if (!have.links.some(({ name }) => name === step.bond)) throw new Error('no such bond');
      return change(step.link, (link) => ({ ...link, master: step.bond, addresses: [] }));
    case 'vlan':
      need('8021q');
      if (!have.links.some(({ name }) => name === step.on)) throw new Error('nothing below');
      return add(cardOf(step.link, '', { kind: 'vlan', vlan: { on: step.on, id: step.id } }));
    case 'mtu':
      return change(step.link, (link) => ({ ...link, mtuBytes: step.mtuBytes }));
    case 'raise':
      return change(step.link, (link) => ({ ...link, isUp: true }));
    case 'lease':
      return { ...have, leased: step.links.length === 0 ? null : step.links };
    case 'forget':
      return change(step.link, (link) => withAddress(link, step.address, false));
    case 'address':
      return change(step.link, (link) => withAddress(link, step.address, true));
    case 'route': {
      if (have.links.find(({ name }) => name === step.link)?.isUp !== true) throw new Error('down');
      const { link: dev, via: gateway, metric } = step;
      return { ...have, routes: [...have.routes, { dst: 'default', gateway, dev, metric }] };
    }
    case 'resolver':
      return { ...have, nameServers: step.nameServers };
    default:
      return step satisfies never;
  }
}

function withAddress(link: Link, text: string, isThere: boolean): Link {
  const [address = '', bits = ''] = text.split('/');
  const added = { address, prefixBits: Number(bits), scope: 'global', isTentative: false };
  const others = link.addresses.filter((one) => textOf(one) !== text);
  return { ...link, addresses: isThere ? [...others, added] : others };
}

/** What lies on a link goes with it; cards in it are free. */
function deleted(have: Observed, name: string): Observed {
  if (!have.links.some((link) => link.name === name)) throw new Error(`no link ${name}`);
  const gone = new Set([name]);
  for (const { name: other, vlan } of have.links) if (vlan?.on === name) gone.add(other);
  return {
    ...have,
    links: have.links
      .filter((link) => !gone.has(link.name))
      .map((link) => (gone.has(link.master ?? '') ? { ...link, master: undefined } : link)),
    routes: have.routes.filter(({ dev }) => !gone.has(dev ?? '')),
  };
}

/** The machine after everything that its plan says. */
export function afterPlan(settings: UplinkSettings, have: Observed): Observed {
  let now = have;
  for (const step of planUplinks(settings, have)) now = afterStep(now, step);
  return now;
}

function textOf({ address, prefixBits }: Link['addresses'][number]): string {
  return `${address}/${prefixBits}`;
}

/** A plan that a person can read. */
export function printPlan(steps: readonly UplinkStep[]): string {
  return steps.map(printStep).join('\n');
}

function printStep({ do: verb, because, ...rest }: UplinkStep): string {
  const facts = Object.entries(rest).map(([name, value]) =>
    name === 'link' ? String(value) : `${name} ${Array.isArray(value) ? value.join(',') : value}`,
  );
  return `${verb} ${facts.join(' ')} (${because})`;
}
