import { addResources, NO_RESOURCES, type Resources } from '../../capacity/spec.ts';
import type { ScreenFacts } from '../../screen/spec.ts';
import type { OfferHolder } from '../capacity/offer.ts';
import type { Statement } from '../status.ts';

/** What the screen shows of the node's contracts; pure. */
export function workOf(
  { total }: Pick<OfferHolder, 'total'>,
  held: readonly { readonly resources: Resources }[],
  statements: readonly Statement[],
): ScreenFacts {
  const used = held.reduce((sum, { resources }) => addResources(sum, resources), NO_RESOURCES);
  const states = statements.flatMap(({ workloads }) => workloads.map(({ state }) => state));
  const count = (wanted: string): number => states.filter((state) => state === wanted).length;
  return {
    cores: { used: used.cpuMillis / 1000, total: total.cpuMillis / 1000 },
    memoryBytes: { used: used.memoryBytes, total: total.memoryBytes },
    ssdBytes: { used: used.ssdBytes, total: total.ssdBytes },
    workloads: { running: count('running'), waiting: count('waiting'), failed: count('failed') },
  };
}
