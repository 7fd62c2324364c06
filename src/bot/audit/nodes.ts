import type { RecordSeen } from '../../contract/receipt.ts';
import { fromBase64 } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { checkGrowth } from '../../record/proof.ts';
import type { TreeHead } from '../../record/tree.ts';
import type { DoubtfulNode, KnownNode } from '../grid.ts';
import type { RecordSource } from '../record/fetch.ts';
import type { AuditStore } from './store.ts';

/** What nobody should be silent about. */
export type Alarm = { readonly code: string; readonly sentence: string };

export type NodeAudit = {
  readonly source: Pick<RecordSource, 'growth'>;
  readonly store: Pick<AuditStore, 'seqOf' | 'due' | 'setDue'>;
  /** What the monitor followed the record to. */
  readonly head: TreeHead;
};

type Heard = { readonly id: string; readonly atMs: number; readonly seen: RecordSeen };

/** What nodes signed of the record themselves: the newest heartbeat of each that says anything. */
export function heardOf(nodes: readonly KnownNode[]): Heard[] {
  return nodes.flatMap(({ identity, heartbeat }) => {
    const seen = heartbeat?.record;
    return seen === undefined ? [] : [{ id: identity.id, atMs: heartbeat?.atMs ?? 0, seen }];
  });
}

/** Nodes whose documents are not theirs: another key may have been put in the place of one. */
export function doubtAlarms(nodes: readonly DoubtfulNode[]): Alarm[] {
  return nodes.map(({ id, code }) => ({
    code: 'NODE_SWAPPED',
    sentence: `What the directory shows as node ${id.slice(0, 10)} is not signed by it (${code}).`,
  }));
}

/**
 * Compares what nodes saw with what the monitor was shown: the same history, and no entry kept from
 * the node that it is for. A node has a heartbeat's time to take what it was shown the head of.
 */
export async function nodeAlarms(audit: NodeAudit, heard: readonly Heard[]): Promise<Alarm[]> {
  const alarms: Alarm[] = [];
  for (const one of heard) {
    alarms.push(...ownAlarm(one), ...(await headAlarm(audit, one)), ...seqAlarms(audit, one));
  }
  return alarms;
}

function ownAlarm({ id, seen }: Heard): Alarm[] {
  if (seen.alarm === null) return [];
  const { code, sentence } = seen.alarm;
  return [{ code: 'NODE_ALARM', sentence: `${nameOf(id)} says ${code}: ${sentence}` }];
}

async function headAlarm({ source, head }: NodeAudit, { id, seen }: Heard): Promise<Alarm[]> {
  if (seen.size === 0) return [];
  if (seen.size > head.size) {
    const sentence =
      `${nameOf(id)} saw a record of ${seen.size} entries, and the directory shows ` +
      `${head.size} here: it went back. Tell everybody.`;
    return [{ code: 'HEAD_STALE', sentence }];
  }
  const older = { size: seen.size, root: fromBase64(seen.root) ?? new Uint8Array() };
  try {
    const proof = older.size === head.size ? [] : await source.growth(older.size, head.size);
    checkGrowth({ older, newer: head, proof });
    return [];
  } catch (error) {
    if (codeOf(error).startsWith('HTTP_') || codeOf(error) === 'TOO_MANY_REQUESTS') throw error;
    const sentence =
      `${nameOf(id)} was shown another history of ${seen.size} entries than the monitor ` +
      `(${sentenceOf(error)}) Tell everybody.`;
    return [{ code: 'HEAD_FORKED', sentence }];
  }
}

function seqAlarms({ store, head }: NodeAudit, { id, atMs, seen }: Heard): Alarm[] {
  const recorded = store.seqOf(id, head.size);
  if (seen.seq > recorded) {
    const sentence =
      `${nameOf(id)} took entry ${seen.seq} that is for it, and the record shows ${recorded} ` +
      'here: something was taken out.';
    return [{ code: 'SEQ_AHEAD', sentence }];
  }
  const due = store.due(id);
  if (due !== undefined && atMs <= due.atMs) return due.isWithheld ? [withheld(id, due.seq)] : [];
  const isStuck = due !== undefined && seen.seq < due.dueSeq && seen.seq === due.seq;
  const dueSeq = store.seqOf(id, Math.min(seen.size, head.size));
  store.setDue(id, { atMs, seq: seen.seq, dueSeq, isWithheld: isStuck });
  return isStuck ? [withheld(id, seen.seq)] : [];
}

function withheld(id: string, seq: number): Alarm {
  const sentence =
    `Entry ${seq + 1} for ${nameOf(id)} is on the record, and the node was not given it: ` +
    'a cancellation or a contract is withheld.';
  return { code: 'ENTRY_WITHHELD', sentence };
}

function nameOf(id: string): string {
  return `node ${id.slice(0, 10)}`;
}
