import type { Database } from '../database/database.ts';
import { putConsent } from '../disks/consents.ts';
import { judgeHeartbeat } from '../disks/leases.ts';
import { farmOf, putHeartbeat } from '../sql/nodes.ts';
import type { Store } from '../store.ts';
import { claimDue, openQuestionOf, putMeasurement } from './measurements.ts';
import { putTerms } from './terms.ts';
import { countWindow, isAsleep, openUptime } from './uptime.ts';
import { nodeOf, nodesOf, searchNodes } from './view.ts';

type CapacityStore = Pick<
  Store,
  | 'farm'
  | 'putTerms'
  | 'capacity'
  | 'node'
  | 'nodes'
  | 'putHeartbeat'
  | 'putConsent'
  | 'putMeasurement'
  | 'claimDue'
  | 'openQuestion'
>;

/** The part of the store about what is to be had, from whom, for how much, and how surely. */
export function capacityStore({ read, write, note }: Database): CapacityStore {
  const uptime = openUptime();
  return {
    farm: async (id) => read(farmOf(id)),
    putTerms: async (terms, farmer) => write((transaction) => putTerms(transaction, terms, farmer)),
    putMeasurement: async (measurement) =>
      write((transaction) => putMeasurement(transaction, measurement)),
    claimDue: async (wish) => note(() => claimDue(wish)),
    openQuestion: async (id, nowMs) => read(openQuestionOf(id, nowMs)),
    capacity: async (search, page, nowMs) => read(searchNodes(search, page, nowMs)),
    node: async (id) => read(nodeOf(id)),
    nodes: async (page) => read(nodesOf(page)),
    putHeartbeat: async (heartbeat, nowMs) => {
      const { node } = heartbeat.value;
      const isNew = !uptime.isCounted(node, nowMs);
      const standing = await note(function* (transaction) {
        const judged = yield* judgeHeartbeat(heartbeat.value, nowMs);
        // What a copy says of itself is not what the node says.
        if (judged.fencedBecause !== null) return judged;
        const wasAsleep = isNew && (yield* isAsleep(node));
        yield* putHeartbeat(transaction, heartbeat, nowMs);
        if (isNew) yield* countWindow(heartbeat.value, { nowMs, wasAsleep });
        return judged;
      });
      if (isNew && standing.fencedBecause === null) uptime.setCounted(node, nowMs);
      return standing;
    },
    putConsent: async (consent, farmer, nowMs) =>
      write((transaction) => putConsent(transaction, consent, { farmer, nowMs })),
  };
}
