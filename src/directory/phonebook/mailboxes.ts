import { createHmac } from 'node:crypto';
import type { Identity } from '../../identity/document.ts';
import { MESSAGE_KEPT_MS } from '../../phonebook/message.ts';
import type { WaitingMessage } from '../../sdk/phonebook/api.ts';
import { RefusedError } from '../errors.ts';
import { all, one, run, type Work } from '../database/work.ts';
import { refuseOld } from '../identity/identities.ts';
import { numberIn, pageOf, textIn } from '../sql/rows.ts';
import type { Page, PageOf } from '../store.ts';

/** The most that waits in one mailbox, and the most of it that one sender wrote. */
export const MAILBOX_MESSAGES_MAX = 256;
export const MAILBOX_BYTES_MAX = 4 * 1024 * 1024;
export const SENDER_MESSAGES_MAX = 32;

/** A sealed letter on its way into a mailbox. */
export type Posted = {
  readonly recipient: string;
  readonly sealed: Uint8Array;
  /** Whoever sends; nothing of it is kept. */
  readonly sender: Identity;
  /** Of `senderTag`: tells one sender's messages from another's, and not who it is. */
  readonly tag: string;
  readonly nowMs: number;
};

/**
 * What stands for a sender beside a message: the same for all that one writes to one, and of no
 * use to who has the database without the directory's key file.
 */
export function senderTag(secretKey: Uint8Array, sender: string, recipient: string): string {
  const key = createHmac('sha256', secretKey).update('zos mailbox').digest();
  return createHmac('sha256', key).update(`${sender} ${recipient}`).digest('hex').slice(0, 32);
}

/** Puts a letter into its mailbox, when there is room; throws `RefusedError`. */
export function* putMessage({ recipient, sealed, sender, tag, nowMs }: Posted): Work<void> {
  yield* refuseOld(sender, nowMs);
  const isKnown = yield* one('SELECT 1 FROM identities WHERE id = :recipient', { recipient });
  if (isKnown === undefined) {
    throw new RefusedError('NOT_FOUND', 'The directory knows no such identity; check its id.');
  }
  const counts = yield* one(
    `SELECT COUNT(*) AS messages, COALESCE(SUM(length_bytes), 0) AS bytes,
       COUNT(*) FILTER (WHERE sender_tag = :tag) AS sent
     FROM messages WHERE recipient = :recipient AND until_ms > :nowMs`,
    { recipient, tag, nowMs },
  );
  const row = counts ?? {};
  if (numberIn(row, 'sent') >= SENDER_MESSAGES_MAX) {
    const sentence = `${SENDER_MESSAGES_MAX} of your messages wait unread there; write later.`;
    throw new RefusedError('MAILBOX_FULL', sentence);
  }
  const isFull =
    numberIn(row, 'messages') >= MAILBOX_MESSAGES_MAX ||
    Number(row['bytes']) + sealed.length > MAILBOX_BYTES_MAX;
  if (isFull) {
    throw new RefusedError('MAILBOX_FULL', 'This mailbox is full until it is read; write later.');
  }
  yield* run(
    `INSERT INTO messages (recipient, sender_tag, length_bytes, received_ms, until_ms, sealed)
     VALUES (:recipient, :tag, :lengthBytes, :nowMs, :untilMs, :sealed)`,
    {
      recipient,
      tag,
      lengthBytes: sealed.length,
      nowMs,
      untilMs: nowMs + MESSAGE_KEPT_MS,
      sealed: Buffer.from(sealed).toString('base64'),
    },
  );
}

/** One page of what waits for somebody, the oldest first. */
export function* messagesOf(
  recipient: string,
  page: Page & { readonly nowMs: number },
): Work<PageOf<WaitingMessage>> {
  const rows = yield* all(
    `SELECT seq, received_ms, sealed FROM messages
     WHERE recipient = :recipient AND seq > :cursor AND until_ms > :nowMs
     ORDER BY seq LIMIT :limit + 1`,
    { recipient, ...page },
  );
  return pageOf([...rows], page, (row) => ({
    seq: numberIn(row, 'seq'),
    receivedMs: numberIn(row, 'received_ms'),
    sealed: textIn(row, 'sealed'),
  }));
}

/** Forgets what its reader has: everything up to `seq`. */
export function* dropMessages(recipient: string, seq: number): Work<void> {
  yield* run('DELETE FROM messages WHERE recipient = :recipient AND seq <= :seq', {
    recipient,
    seq,
  });
}

/** Forgets what nobody fetched in time. */
export function* sweepMessages(nowMs: number): Work<void> {
  yield* run('DELETE FROM messages WHERE until_ms <= :nowMs', { nowMs });
}
