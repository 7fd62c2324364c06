import type { Database } from '../database/database.ts';
import { farmOf } from '../sql/nodes.ts';
import type { Store } from '../store.ts';
import { putTerms } from './terms.ts';
import { nodeOf, nodesOf, searchNodes } from './view.ts';

type CapacityStore = Pick<Store, 'farm' | 'putTerms' | 'capacity' | 'node' | 'nodes'>;

/** The part of the store about what is to be had, from whom and for how much. */
export function capacityStore({ read, write }: Database): CapacityStore {
  return {
    farm: async (id) => read(farmOf(id)),
    putTerms: async (terms, farmer) => write((transaction) => putTerms(transaction, terms, farmer)),
    capacity: async (search, page, nowMs) => read(searchNodes(search, page, nowMs)),
    node: async (id) => read(nodeOf(id)),
    nodes: async (page) => read(nodesOf(page)),
  };
}
