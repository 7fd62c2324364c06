import type { Link } from '../host/net/ip.ts';
import { isCard, layoutOf } from './layout.ts';
import type { Observed } from './plan.ts';
import type { UplinkSettings } from './spec.ts';

export type UplinkStatus = {
  /** `address on link`, as far as they can be used: none while the machine can't reach out. */
  readonly addresses: readonly { readonly address: string; readonly link: string }[];
  /** What the machine waits for, in sentences. */
  readonly waits: readonly string[];
};

const NO_PARTNER = '00:00:00:00:00:00';

/** How far the links are, and what each waits for. */
export function statusOfUplinks(settings: UplinkSettings, have: Observed): UplinkStatus {
  const { links: wanted, missing } = layoutOf(settings, have.links);
  const cards = have.links.filter(isCard);
  const linkOf = (name: string): Link | undefined => have.links.find((one) => one.name === name);
  const ends = wanted.filter(({ addresses }) => addresses !== null);
  const addresses = ends.flatMap(({ name }) => usableOf(linkOf(name)));
  const nobody = 'a network card: none of the drivers here found one';
  const unplugged = cards
    .filter(({ isUp, hasCarrier }) => isUp && !hasCarrier)
    .map(({ name, permanentMac }) => `a cable in ${name} (${permanentMac}): it has no link`);
  const partners = have.links
    .filter(({ bond, hasCarrier }) => hasCarrier && bond?.partnerMac === NO_PARTNER)
    .map(({ name }) => `the switch to answer LACP on ${name}: some take 70 s`);
  const unanswered = ends.flatMap(({ name, addresses: wish }) => {
    const link = linkOf(name);
    if (link?.hasCarrier !== true || usableOf(link).length > 0) return [];
    return wish === 'automatic'
      ? [`an address on ${name}: no DHCP server and no IPv6 router answers`]
      : [`its address on ${name} to be free: another machine may have it`];
  });
  return {
    addresses,
    waits: [
      ...(have.isClosed ? [] : ['the firewall: without it every card stays down']),
      ...(cards.length === 0 ? [nobody] : []),
      ...missing.map((mac) => `the network card ${mac}, which the farmer's settings name`),
      ...unplugged,
      ...partners,
      ...unanswered,
    ],
  };
}

function usableOf(link: Link | undefined): { address: string; link: string }[] {
  if (link?.hasCarrier !== true) return [];
  return link.addresses
    .filter(({ scope, isTentative }) => scope === 'global' && !isTentative)
    .map(({ address }) => ({ address, link: link.name }));
}
