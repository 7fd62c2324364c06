import type { Database } from '../database/database.ts';
import type { Store } from '../store.ts';
import { approvalOf, approveNode, nodesBy } from './work.ts';

/** The part of the store about nodes that came without a token. */
export function approvalStore({
  read,
  write,
}: Pick<Database, 'read' | 'write'>): Pick<Store, 'approveNode' | 'approval' | 'nodesBy'> {
  return {
    approveNode: async (approval) => write((transaction) => approveNode(transaction, approval)),
    approval: async (node) => read(approvalOf(node)),
    nodesBy: async (prefix) => read(nodesBy(prefix)),
  };
}
