import type { Database } from '../database/database.ts';
import { farmOf, putHeartbeat } from '../sql/nodes.ts';
import type { Store } from '../store.ts';
import { claimDue, openQuestionOf, putMeasurement } from './measurements.ts';
import { putTerms } from './terms.ts';
import { countWindow, openUptime } from './uptime.ts';
import { nodeOf, nodesOf, searchNodes } from './view.ts';

type CapacityStore = Pick<
  Store,
  | 'farm'
  | 'putTerms'
  | 'capacity'
  | 'node'
  | 'nodes'
  | 'putHeartbeat'
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
      await note(function* (transaction) {
        yield* putHeartbeat(transaction, heartbeat, nowMs);
        if (isNew) yield* countWindow(heartbeat.value, nowMs);
      });
      if (isNew) uptime.setCounted(node, nowMs);
    },
  };
}
