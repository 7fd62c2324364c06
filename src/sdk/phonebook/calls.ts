import type { IdentityBundle } from '../../identity/bundle.ts';
import type { Envelope } from '../../identity/envelope.ts';
import { sha256Hex, toBase64 } from '../../lib/bytes.ts';
import {
  authorization,
  type Call,
  type Calls,
  type PageWish,
  queryOf,
  type Signing,
} from '../calls.ts';
import * as book from './api.ts';

export type PostedLetter = {
  readonly recipient: string;
  readonly sealed: Uint8Array;
  /** The document of who sends. */
  readonly sender: IdentityBundle;
};

/** Names, and messages that only their reader can open. */
export function phonebookCalls({ call, get, post }: Calls & { readonly call: Call }) {
  return {
    putName: async (body: { claim: Envelope; owner: IdentityBundle }) =>
      post('/v1/names', body, book.claimAnswer),
    name: async (name: string) => get(`/v1/names/${name}`, book.nameAnswer),
    names: async (wish: PageWish & { readonly owner?: string } = {}) =>
      get(`/v1/names${queryOf(wish)}`, book.namesAnswer),
    /** Puts a sealed letter into somebody's mailbox, as `signing`. */
    postMessage: async (signing: Signing, letter: PostedLetter) => {
      const { recipient, sealed, sender } = letter;
      const path = `/v1/mailboxes/${recipient}?digest=${sha256Hex(sealed)}`;
      const headers = authorization(signing, path, 'POST');
      const body = { sealed: toBase64(sealed), sender };
      return call({ path, schema: book.nothingAnswer, body, headers });
    },
    /** What waits in the own mailbox. */
    messages: async (signing: Signing, reader: string, wish: PageWish = {}) => {
      const path = `/v1/mailboxes/${reader}${queryOf(wish)}`;
      return call({ path, schema: book.mailboxAnswer, headers: authorization(signing, path) });
    },
    /** Lets the directory forget everything up to `upTo`. */
    dropMessages: async (signing: Signing, reader: string, upTo: number) => {
      const path = `/v1/mailboxes/${reader}/read?upTo=${upTo}`;
      const headers = authorization(signing, path, 'POST');
      return call({ path, schema: book.nothingAnswer, body: {}, headers });
    },
  };
}
