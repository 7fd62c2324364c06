import { isClassEnough } from '../../capacity/class.ts';
import { isSamePrices, type Prices } from '../../capacity/price.ts';
import { isShort, type Resources, shortfall } from '../../capacity/spec.ts';
import { formatBytes } from '../../lib/units.ts';
import type { NodeKnowledge, SignedContract } from '../verify.ts';
import { bindingOf, BodyError, secretKey } from './body.ts';
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
export function refuseUnreadable(contract: SignedContract, { opens }: NodeKnowledge): void {
  if (contract.body === null) return;
  if (contract.private === null) {
    throw new BodyError(
      'BODY_MISSING',
      'Its private body is not here: it was held back, or its tenant erased it; sign a new one.',
    );
  }
  const { grid, tenant, node, workloads } = contract;
  for (const workload of workloads) {
    if (workload.kind !== 'container') continue;
    for (const { name } of workload.secrets) {
      const place = { grid, tenant, node, container: workload.name, name };
      const sealed = contract.private.secrets[secretKey(place)];
      if (sealed !== undefined && opens(sealed, bindingOf(place))) continue;
      throw new BodyError(
        'SECRET_FOREIGN',
        `The secret ${name} of container ${workload.name} is missing, or was sealed to another ` +
          'node or for another contract; seal it anew.',
      );
    }
  }
}
