import type { NodeClass, Offer } from '../../capacity/spec.ts';
import { NODE_CLASSES, resourcesOf } from '../../capacity/spec.ts';
import { featureBits } from '../../capacity/search.ts';
import type { Proof } from '../../sdk/api.ts';
import { run, type Work } from '../database/work.ts';

/**
 * What a search asks by, in one narrow row a node: written in the transactions that change what it
 * is made from, so that a search reads nothing else. Whoever writes here can hide a node or show it
 * as free; the offer that a contract names is checked by the node itself.
 */
export function* indexOffer(offer: Offer): Work<void> {
  const { cpuMillis, memoryBytes, ssdBytes, hddBytes } = resourcesOf(offer.capacity);
  const { computeHourMicros, storageHourMicros, networkMicros } = offer.prices;
  yield* run(
    `INSERT INTO capacity (seq, farm, country, class, proven_until_ms, cpu_millis, memory_bytes,
       ssd_bytes, hdd_bytes, free_cpu_millis, free_memory_bytes, free_ssd_bytes, free_hdd_bytes,
       compute_price, storage_price, network_price, features, online_until_ms)
     SELECT seq, NULL, '', :class, 0, :cpuMillis, :memoryBytes, :ssdBytes, :hddBytes, :cpuMillis,
       :memoryBytes, :ssdBytes, :hddBytes, :computePrice, :storagePrice, :networkPrice, :features, 0
     FROM nodes WHERE id = :node
     ON CONFLICT (seq) DO UPDATE SET class = excluded.class, proven_until_ms = 0,
       cpu_millis = excluded.cpu_millis, memory_bytes = excluded.memory_bytes,
       ssd_bytes = excluded.ssd_bytes, hdd_bytes = excluded.hdd_bytes,
       compute_price = excluded.compute_price, storage_price = excluded.storage_price,
       network_price = excluded.network_price, features = excluded.features`,
    {
      node: offer.node,
      class: rankOf(offer.class),
      cpuMillis,
      memoryBytes,
      ssdBytes,
      hddBytes,
      computePrice: computeHourMicros,
      storagePrice: storageHourMicros,
      networkPrice: networkMicros,
      features: featureBits(offer.features),
    },
  );
  yield* indexBooked({ node: offer.node });
  yield* placeNodes({ node: offer.node });
}

/**
 * Takes what live contracts hold off the capacity of a node, or of the node that a contract is on:
 * counted anew each time, so that it never drifts.
 */
export function* indexBooked(
  which: { readonly node: string } | { readonly contract: string },
): Work<void> {
  const isNode = 'node' in which;
  const node = isNode ? ':id' : '(SELECT node FROM contracts WHERE id = :id)';
  const sum = (column: string): string =>
    `CAST(COALESCE(SUM(${column}), 0) AS BIGINT) AS ${column}`;
  yield* run(
    `UPDATE capacity SET free_cpu_millis = capacity.cpu_millis - b.cpu_millis,
       free_memory_bytes = capacity.memory_bytes - b.memory_bytes,
       free_ssd_bytes = capacity.ssd_bytes - b.ssd_bytes,
       free_hdd_bytes = capacity.hdd_bytes - b.hdd_bytes
     FROM (SELECT ${sum('cpu_millis')}, ${sum('memory_bytes')}, ${sum('ssd_bytes')},
         ${sum('hdd_bytes')}
       FROM contracts WHERE is_booked = 1 AND node = ${node}) AS b
     WHERE capacity.seq = (SELECT seq FROM nodes WHERE id = ${node})`,
    { id: isNode ? which.node : which.contract },
  );
}

/** Keeps until when a node's class is proven. */
export function* indexProof(node: string, { isProven, untilMs, offerId }: Proof): Work<void> {
  yield* run(
    `UPDATE capacity SET proven_until_ms = :untilMs
     WHERE seq = (SELECT seq FROM nodes WHERE id = :node AND offer_id = :offerId)`,
    { node, offerId, untilMs: isProven ? untilMs : 0 },
  );
}

/** Puts the nodes of a farm, or one node, where the farmer says that the farm is. */
export function* placeNodes(
  which: { readonly farm: string } | { readonly node: string },
): Work<void> {
  const [column, value] = 'farm' in which ? ['farm', which.farm] : ['id', which.node];
  yield* run(
    `UPDATE capacity SET farm = p.farm, country = p.country
     FROM (SELECT n.seq AS node, f.seq AS farm, COALESCE(t.country, '') AS country FROM nodes n
       JOIN farms f ON f.id = n.farm LEFT JOIN farm_terms t ON t.farm = f.id
       WHERE n.${column} = :value) AS p
     WHERE capacity.seq = p.node`,
    { value },
  );
}

/** A class as a number, the best lowest. */
export function rankOf(nodeClass: NodeClass): number {
  return NODE_CLASSES.indexOf(nodeClass);
}
