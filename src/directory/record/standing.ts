import type { NoteKey } from '../../record/note.ts';
import { isQuorum, type Policy } from '../../record/policy.ts';
import { RefusedError } from '../errors.ts';
import type { Word } from './cosigners.ts';

/**
 * Why nothing may be recorded, or `undefined`. A newer published history that is not here would
 * have been cosigned by a quorum: as long as the witnesses who have not said that they saw nothing
 * newer could make one, this database may be an old copy, and what is written on it would be lost.
 */
export function refusalOf(
  policy: Policy,
  words: ReadonlyMap<NoteKey, Word>,
): RefusedError | undefined {
  const witnesses = [...policy.witnesses.values()].map(({ key }) => key);
  const open = witnesses.filter((key) => words.get(key)?.is !== 'good');
  if (witnesses.length === 0 || !isQuorum(policy, new Set(open))) return undefined;
  const said = open.map((key) => ({ name: key.name, word: words.get(key) }));
  const forked = said.filter(({ word }) => word?.is === 'forked').map(({ name }) => name);
  if (forked.length > 0) return forkedBy(`to ${forked.join(', ')}`);
  const sizes = said.flatMap(({ word }) => (word?.is === 'ahead' ? [word.sizeSeen] : []));
  if (sizes.length > 0) {
    return behindOf(Math.max(...sizes));
  }
  const names = open.map(({ name }) => name).join(', ');
  const sentence = `The record waits for word of its witnesses ${names}; try again later.`;
  return new RefusedError('RECORD_UNSEEN', sentence);
}

/** What is said when more was shown than is here. */
export function behindOf(sizeSeen: number): RefusedError {
  const sentence =
    `This record was shown with ${sizeSeen} entries, which are more than are here: this database ` +
    'is an old copy. Restore the newest; nothing is written until then.';
  return new RefusedError('RECORD_BEHIND', sentence, { facts: { sizeSeen } });
}

/** What is said when two histories are known. */
export function forkedBy(where: string): RefusedError {
  const sentence =
    `Another history of this record was shown ${where}: stop whatever else runs with its key, ` +
    'and restore the database that was published; nothing is written until then.';
  return new RefusedError('RECORD_FORKED', sentence);
}
