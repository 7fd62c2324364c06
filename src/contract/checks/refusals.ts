import { isClassEnough } from '../../capacity/class.ts';
import { isSamePrices, type Prices } from '../../capacity/price.ts';
import { isShort, type Resources, shortfall } from '../../capacity/spec.ts';
import { formatBytes } from '../../lib/units.ts';
import type { NodeKnowledge, SignedContract } from '../verify.ts';
import { bindingOf, BodyError, secretKey, volumeBindingOf, volumeSecretKey } from './body.ts';
import type { Workload } from '../spec.ts';
import { ContractError } from './error.ts';

function noRoomSentence(wanted: Resources, used: Resources, total: Resources): string {
  const short = shortfall(wanted, used, total);
  const asks: string[] = [];
  const left = (all: number, taken: number): number => Math.max(0, all - taken);
  if (short.cpuMillis > 0) {
    const free = left(total.cpuMillis, used.cpuMillis) / 1000;
    asks.push(`${wanted.cpuMillis / 1000} processors and ${free} are free`);
  }
  if (short.memoryBytes > 0) {
    const free = formatBytes(left(total.memoryBytes, used.memoryBytes));
    asks.push(`${formatBytes(wanted.memoryBytes)} of memory and ${free} are free`);
  }
  if (short.ssdBytes > 0) {
    const free = formatBytes(left(total.ssdBytes, used.ssdBytes));
    asks.push(`${formatBytes(wanted.ssdBytes)} of solid-state storage and ${free} are free`);
  }
  if (short.hddBytes > 0) {
    const free = formatBytes(left(total.hddBytes, used.hddBytes));
    asks.push(`${formatBytes(wanted.hddBytes)} of rotating storage and ${free} are free`);
  }
  return `It asks for ${asks.join(', for ')}; ask for less or choose another node.`;
}

/** Check 11: its time has come and not gone. */
export function refuseOutOfTime(contract: SignedContract, { nowMs }: NodeKnowledge): void {
  const facts = { nowMs, notBeforeMs: contract.notBeforeMs, notAfterMs: contract.notAfterMs };
  if (nowMs < contract.notBeforeMs) {
    const begins = new Date(contract.notBeforeMs).toISOString();
    throw new ContractError('TOO_EARLY', `It begins at ${begins}.`, { facts });
  }
  if (nowMs >= contract.notAfterMs) {
    const ended = new Date(contract.notAfterMs).toISOString();
    throw new ContractError('EXPIRED', `It ended at ${ended}; sign a new one.`, { facts });
  }
}

/** Check 12: it builds on an offer that this node made, at its prices. */
export function refuseStaleOffer(contract: SignedContract, { offers }: NodeKnowledge): void {
  const asked = offers.get(contract.offer);
  if (asked === undefined) {
    throw new ContractError(
      'OFFER_STALE',
      'It builds on an offer that this node does not make; read its offer again and sign anew.',
    );
  }
  const { price } = contract;
  if (isSamePrices(price, asked)) return;
  throw new ContractError(
    'PRICE_OTHER',
    `It agrees to ${priceText(price)}, and the offer that it names asks for ` +
      `${priceText(asked)}; sign what the offer asks for.`,
    { facts: { price, asked } },
  );
}

function priceText(prices: Prices): string {
  const { computeHourMicros, storageHourMicros, networkMicros } = prices;
  return `${computeHourMicros} a CU-hour, ${storageHourMicros} an SU-hour, ${networkMicros} an NU`;
}

/** Check 13: the node has the room. */
export function refuseNoRoom(
  contract: SignedContract,
  { total, usedByOthers }: NodeKnowledge,
): void {
  if (!isShort(shortfall(contract.resources, usedByOthers, total))) return;
  const sentence = noRoomSentence(contract.resources, usedByOthers, total);
  throw new ContractError('NO_ROOM', sentence, {
    facts: { wanted: contract.resources, used: usedByOthers, total },
  });
}

/** Check 14: the node's boot is as good as it has to be. */
export function refuseLowClass({ requires }: SignedContract, knowledge: NodeKnowledge): void {
  if (isClassEnough(knowledge.class, requires)) return;
  throw new ContractError(
    'CLASS_TOO_LOW',
    `It requires a node of class ${requires}, and this one is ${knowledge.class}; choose another.`,
    { facts: { requires, class: knowledge.class } },
  );
}

/** Check 15: its private body is here, and what is sealed in it was sealed to this node for it. */
export function refuseUnreadable(
  contract: SignedContract,
  { opens, isBodyLate }: NodeKnowledge,
): void {
  if (contract.body === null) return;
  if (contract.private === null) {
    if (isBodyLate === true) return;
    throw new BodyError(
      'BODY_MISSING',
      'Its private body is not here: it was held back, or its tenant erased it; sign a new one.',
    );
  }
  for (const { what, key, binding } of contract.workloads.flatMap(sealedIn(contract))) {
    const sealed = contract.private.secrets[key];
    if (sealed !== undefined && opens(sealed, binding)) continue;
    throw new BodyError(
      'SECRET_FOREIGN',
      `${what} is missing, or was sealed to another node or for another contract; seal it anew.`,
    );
  }
}

type Sealed = { readonly what: string; readonly key: string; readonly binding: string };

function sealedIn(whose: SignedContract): (workload: Workload) => readonly Sealed[] {
  const { grid, tenant, node } = whose;
  return (workload) => {
    const { kind, name } = workload;
    if (kind === 'volume') {
      const binding = volumeBindingOf({ grid, tenant, node, name });
      return [{ what: `The key of volume ${name}`, key: volumeSecretKey(name), binding }];
    }
    if (kind === 'znet') return [];
    return workload.secrets.map((secret) => {
      const place = { grid, tenant, node, container: name, name: secret.name };
      const what = `The secret ${secret.name} of container ${name}`;
      return { what, key: secretKey(place), binding: bindingOf(place) };
    });
  };
}

/** Check 10 for volumes: what holds data is what it was, and never shorter. */
export function refuseChangedVolumes(
  { workloads }: SignedContract,
  held: readonly Workload[] = [],
): void {
  for (const volume of workloads) {
    const before = held.find(({ kind, name }) => kind === volume.kind && name === volume.name);
    if (volume.kind !== 'volume' || before?.kind !== 'volume') continue;
    const { name, format, lengthBytes } = volume;
    if (before.format !== format || before.class !== volume.class) {
      throw new ContractError(
        'VOLUME_CHANGED',
        `Volume ${name} is ${before.format} on ${before.class} and holds data, so it can't be ` +
          `${format} on ${volume.class}; take another name for that.`,
      );
    }
    if (lengthBytes >= before.lengthBytes) continue;
    const [has, wanted] = [before.lengthBytes, lengthBytes].map(formatBytes);
    throw new ContractError(
      'VOLUME_CHANGED',
      `Volume ${name} has ${has} and can't shrink to ${wanted}; ask for as much or for more.`,
    );
  }
}
