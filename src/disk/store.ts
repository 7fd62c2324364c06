import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { mkdir } from 'node:fs/promises';
import { z } from 'zod';
import { readText, writeDurably } from '../host/files.ts';
import { verifyIdentity } from '../identity/document.ts';
import { parseEnvelope } from '../identity/envelope.ts';
import { utf8 } from '../lib/bytes.ts';
import { KiB, MiB } from '../lib/units.ts';

const FILE_BYTES_MAX = 16 * KiB;
/** Records that are copied: what is longer is none of the node's. */
const RECORD_BYTES_MAX = 8 * MiB;
const DEPTH_MAX = 4;

const cardSchema = z.strictObject({
  class: z.enum(['ssd', 'hdd']),
  /** How long its arm took to move, when it was measured: next to nothing where there is none. */
  armMs: z.number().min(0),
});
/** What was measured of a data disk; it stays, so that a node offers the same after each start. */
export type DiskCard = z.infer<typeof cardSchema>;

/** The card of the disk that is mounted here. Who can write it makes an SSD an HDD, on one disk. */
export async function readCard(folder: string): Promise<DiskCard | undefined> {
  return readAs(`${folder}/zos-disk.json`, cardSchema);
}

/** Writes the card of a disk that was measured. */
export async function writeCard(folder: string, card: DiskCard): Promise<void> {
  await writeDurably({ path: `${folder}/zos-disk.json`, bytes: JSON.stringify(card) });
}

const bootsSchema = z.strictObject({
  boots: z.int().min(0),
  bootId: z.string().max(64),
  machine: z.string().max(64),
});
/** The starts of the machine as a node counts them. */
export type Boots = z.infer<typeof bootsSchema>;

/**
 * What a node's folder says of the node. Who can write it can make the node look like one that
 * started less often, and then the directory takes it for a copy and fences it; or more often.
 */
export async function readCopy(
  folder: string,
): Promise<{ readonly node: string | null; readonly seq: number } & Boots> {
  const boots = await readAs(`${folder}/boots.json`, bootsSchema);
  const text = await readText(`${folder}/identity.json`, FILE_BYTES_MAX);
  const seq = Number((await readText(`${folder}/seq`, FILE_BYTES_MAX)) ?? '0');
  return {
    ...(boots ?? { boots: 0, bootId: '', machine: '' }),
    node: text === undefined ? null : verifyIdentity(parseEnvelope(utf8(text))).id,
    seq: Number.isSafeInteger(seq) ? seq : 0,
  };
}

/**
 * Counts this start of the machine in every folder, one above the highest count in any of them; an
 * agent that starts again in the same boot counts nothing.
 */
export async function countBoot(
  folders: readonly string[],
  now: Pick<Boots, 'bootId' | 'machine'>,
): Promise<number> {
  const known = await Promise.all(folders.map(async (path) => readBoots(`${path}/boots.json`)));
  const newest = known
    .flatMap((boots) => (boots === undefined ? [] : [boots]))
    .toSorted((a, b) => b.boots - a.boots)[0];
  const isSame = newest?.bootId === now.bootId;
  const boots: Boots = { ...now, boots: (newest?.boots ?? 0) + (isSame ? 0 : 1) };
  for (const folder of folders) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeDurably({ path: `${folder}/boots.json`, bytes: JSON.stringify(boots) });
  }
  return boots.boots;
}

async function readBoots(path: string): Promise<Boots | undefined> {
  return readAs(path, bootsSchema);
}

/** A damaged file counts as none. */
async function readAs<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    const text = await readText(path, FILE_BYTES_MAX);
    return text === undefined ? undefined : schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * Makes one folder of a node's records the same as another: what differs in length or time is
 * written anew, each file whole, and what is not in the other goes. Answers how many changed.
 */
export async function copyRecords(from: string, to: string, depth = 0): Promise<number> {
  // A disk that was just taken has no records yet: then there is nothing to make the same.
  if (depth > DEPTH_MAX || !(await isThere(from))) return 0;
  await mkdir(to, { recursive: true, mode: 0o700 });
  const entries = await readdir(from, { withFileTypes: true });
  const kept = new Set(entries.map(({ name }) => name));
  let changed = 0;
  for (const entry of entries) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory()) changed += await copyRecords(source, target, depth + 1);
    else if (entry.isFile() && !entry.name.endsWith('.part')) {
      changed += Number(await copyRecord(source, target));
    }
  }
  const there: string[] = await readdir(to);
  for (const name of there.filter((each) => !kept.has(each))) {
    await rm(`${to}/${name}`, { recursive: true, force: true });
    changed += 1;
  }
  return changed;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function copyRecord(source: string, target: string): Promise<boolean> {
  const is = await stat(source).catch(() => undefined);
  // It went since the folder was read, or it is no record.
  if (is === undefined || is.size > RECORD_BYTES_MAX) return false;
  const was = await stat(target).catch(() => undefined);
  if (was?.size === is.size && Math.abs(was.mtimeMs - is.mtimeMs) < 1) return false;
  const bytes = await readFile(source).catch(() => undefined);
  if (bytes === undefined) return false;
  await writeDurably({ path: target, bytes });
  await utimes(target, is.atimeMs / 1000, is.mtimeMs / 1000);
  return true;
}

const RESERVE_BYTES = 16 * MiB;

/** Room on a disk that only the node's own records get: a file that takes it until then. */
export async function keepReserve(folder: string): Promise<void> {
  const path = reservePath(folder);
  if ((await stat(path).catch(() => undefined))?.size === RESERVE_BYTES) return;
  await writeDurably({ path, bytes: new Uint8Array(RESERVE_BYTES) });
}

/** Gives that room to whoever writes next: the node, as what filled the disk found none. */
export async function dropReserve(folder: string): Promise<void> {
  await rm(reservePath(folder), { force: true });
}

function reservePath(folder: string): string {
  return `${folder}/zos-reserve`;
}
