import type { Database } from '../database/database.ts';
import type { Store } from '../store.ts';
import { dropMessages, messagesOf, putMessage } from './mailboxes.ts';
import { nameOf, namesOf, putName } from './names.ts';

type Part = Pick<Store, 'putName' | 'name' | 'names' | 'putMessage' | 'messages' | 'dropMessages'>;

/** The store's part for names, which are recorded, and mailboxes, which are not. */
export function phonebookStore({
  read,
  write,
  note,
}: Pick<Database, 'read' | 'write' | 'note'>): Part {
  return {
    putName: async (entry) => write((transaction) => putName(transaction, entry)),
    name: async (name) => read(nameOf(name)),
    names: async (filter, page) => read(namesOf(filter, page)),
    putMessage: async (posted) => note(() => putMessage(posted)),
    messages: async (recipient, page) => read(messagesOf(recipient, page)),
    dropMessages: async (recipient, seq) => note(() => dropMessages(recipient, seq)),
  };
}
