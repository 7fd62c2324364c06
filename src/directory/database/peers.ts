import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, openConnection, type Query } from '../../host/net/postgres.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { Batch } from './batch.ts';
import type { Database } from './database.ts';

const RECONNECT_EVERY_MS = SECOND_MS;
const ASK_TO_LEAD_EVERY_MS = 250;
/** A leader that says nothing for longer is taken off by the server, in case it stands still. */
const LEADER_SILENT_MS_MAX = 5 * SECOND_MS;
const LEADER_SPEAKS_EVERY_MS = SECOND_MS;
/** Any number that nobody else takes in this database; `postgres.ts` has its own. */
const LEAD_LOCK = 0x7a_6f_74;
const [WANTS, RECORD] = ['zos_wants', 'zos_record'];
/** Of one notice, whose text may be 8000 bytes. */
const NODES_PER_NOTICE = 100;

/** What goes into a transaction so that other processes hear of it once it is durable. */
export function noticesOf(me: string, { touched, entries }: Batch): Query[] {
  const notices: Query[] = [];
  const tell = (channel: string, text: string): void => {
    notices.push({ text: 'SELECT pg_notify($1, $2)', values: [channel, text], name: 'notify' });
  };
  for (let at = 0; at < touched.length; at += NODES_PER_NOTICE) {
    tell(WANTS, [me, ...touched.slice(at, at + NODES_PER_NOTICE)].join(' '));
  }
  if (entries.length > 0) tell(RECORD, me);
  return notices;
}

export type EarsOptions = {
  readonly url: string;
  /** Whose notices are our own, which nobody needs to hear. */
  readonly me: string;
  readonly wake: (nodes: readonly string[] | 'all') => void;
  readonly recorded: () => void;
};

/** Hears what other processes changed; after a silence everybody is woken, as words may be lost. */
export async function openEars({
  url,
  me,
  wake,
  recorded,
}: EarsOptions): Promise<Pick<Database, 'close'>> {
  let connection: Connection | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const listen = async (): Promise<void> => {
    connection = await openConnection({
      url,
      name: 'zos-directory-ears',
      onNotice: (channel, text) => {
        const [from, ...nodes] = text.split(' ');
        if (from === me) return;
        if (channel === RECORD) recorded();
        else wake(nodes);
      },
      onLost: later,
    });
    await connection.ask([{ text: `LISTEN ${WANTS}` }, { text: `LISTEN ${RECORD}` }]);
  };
  const later = (): void => {
    if (isClosed || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      void listenAgain();
    }, RECONNECT_EVERY_MS);
  };
  const listenAgain = async (): Promise<void> => {
    try {
      await listen();
    } catch {
      later();
      return;
    }
    wake('all');
    recorded();
  };
  await listen();
  return {
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await connection?.close();
    },
  };
}

type Work = (signal: AbortSignal) => Promise<void>;

/** Runs work while no other process does; a connection of its own carries the lock. */
export async function runLeading(
  connect: () => Promise<Connection>,
  signal: AbortSignal,
  work: Work,
): Promise<void> {
  while (!signal.aborted) {
    const connection = await connect().catch(() => undefined);
    if (connection !== undefined && (await hasLead(connection, signal))) {
      const isDone = await runHolding(connection, signal, work);
      if (isDone) return;
    }
    await connection?.close();
    await sleep(RECONNECT_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Whether it leads now; not, when the connection broke before. */
async function hasLead(connection: Connection, signal: AbortSignal): Promise<boolean> {
  const ask = [{ text: `SELECT pg_try_advisory_lock(${LEAD_LOCK}) AS is_mine` }];
  try {
    await connection.ask([{ text: `SET idle_session_timeout = ${LEADER_SILENT_MS_MAX}` }]);
    while (!signal.aborted) {
      const [answer] = await connection.ask(ask);
      if (answer?.rows[0]?.['is_mine'] === true) return true;
      await sleep(ASK_TO_LEAD_EVERY_MS);
    }
  } catch {
    // Somebody else may lead by now; the next connection asks again.
  }
  return false;
}

/** Whether the work came to its end by itself, and not because the lead was lost. */
async function runHolding(
  connection: Connection,
  signal: AbortSignal,
  work: Work,
): Promise<boolean> {
  const lost = new AbortController();
  const speak = setInterval(() => {
    if (!connection.isOpen()) lost.abort();
    else connection.ask([{ text: 'SELECT 1' }]).catch(() => lost.abort());
  }, LEADER_SPEAKS_EVERY_MS);
  try {
    await work(AbortSignal.any([signal, lost.signal]));
    return !lost.signal.aborted;
  } catch (error) {
    if (!lost.signal.aborted) throw error;
    return false;
  } finally {
    clearInterval(speak);
    await connection.close();
  }
}
