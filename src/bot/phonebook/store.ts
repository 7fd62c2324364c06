import { z } from 'zod';
import { labelSchema, sha256Schema } from '../../lib/names.ts';
import { MESSAGE_AGE_MS_MAX, type OpenedMessage } from '../../phonebook/message.ts';
import type { Holding } from '../../phonebook/name.ts';
import { type Home, readJson, writeText } from '../store.ts';

const NAMES_FILE = 'names.json';
const SEEN_FILE = 'messages.json';

const namesSchema = z.record(
  labelSchema,
  z.strictObject({ owner: sha256Schema, version: z.int().positive(), digest: sha256Schema }),
);
const seenSchema = z.array(z.strictObject({ digest: sha256Schema, atMs: z.int() }));

/** What this bot saw of a name before: no directory shows it another history from then on. */
export type KnownName = z.infer<typeof namesSchema>[string];

/** Every name that was found before. */
export async function readNames(home: Home): Promise<Record<string, KnownName>> {
  return (await readJson(home, NAMES_FILE, namesSchema)) ?? {};
}

/** Remembers whose a name is. */
export async function writeName(home: Home, holding: Holding): Promise<void> {
  const { name, owner, version, digest } = holding;
  const names = { ...(await readNames(home)), [name]: { owner, version, digest } };
  await writeText(home, NAMES_FILE, `${JSON.stringify(names, null, 2)}\n`);
}

/** The digests of messages that were read before, and would still be young enough to be read. */
export async function readSeen(home: Home): Promise<ReadonlySet<string>> {
  const seen = (await readJson(home, SEEN_FILE, seenSchema)) ?? [];
  return new Set(seen.map(({ digest }) => digest));
}

/** Remembers messages for as long as they could be sent again. */
export async function writeSeen(
  home: Home,
  messages: readonly OpenedMessage[],
  nowMs: number,
): Promise<void> {
  const before = (await readJson(home, SEEN_FILE, seenSchema)) ?? [];
  const young = before.filter(({ atMs }) => nowMs - atMs <= MESSAGE_AGE_MS_MAX);
  const fresh = messages.map(({ digest, atMs }) => ({ digest, atMs }));
  await writeText(home, SEEN_FILE, `${JSON.stringify([...young, ...fresh])}\n`);
}
