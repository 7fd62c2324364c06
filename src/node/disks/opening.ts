import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { folderOf, type DataDisk, openDataDisks } from '../../disk/apply.ts';
import { countBoot, copyRecords } from '../../disk/store.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { verifyJoinToken } from '../../identity/farm.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { KiB } from '../../lib/units.ts';
import type { BootFiles } from '../bringup/boot-files.ts';
import type { AgentConsole } from '../bringup/console.ts';
import type { TroubleCode, Troubles } from '../health/troubles.ts';
import { hasRecords } from './records.ts';

/** Where the node's records are while there is no data disk; a copy of them while there is. */
export const MEMORY_FOLDER = '/run/zos/agent/node';

/** What this boot knows of its disks: an agent that starts again goes by it. */
const KNOWN_PATH = '/run/zos/disks-known.json';
const FILE_BYTES_MAX = 64 * KiB;
const CODES = ['DISK_GONE', 'DISK_READ_ONLY', 'DISK_CORRUPT'] as const;

const knownSchema = z.strictObject({
  /** Data disks that were open, by device, each with its serial number. */
  open: z.array(z.tuple([z.string(), z.string()])),
  /** Disks that failed: they are left alone until the machine's next start. */
  failed: z.array(
    z.strictObject({ device: z.string(), code: z.enum(CODES), sentence: z.string() }),
  ),
});
type Known = z.infer<typeof knownSchema>;
export type FailedDisk = Known['failed'][number];

export type OpeningParts = {
  readonly boot: BootFiles;
  readonly console: AgentConsole;
  readonly troubles: Troubles;
  readonly signal: AbortSignal;
};

/** The data disks, and how often the machine was started as the node that is on them. */
export type OwnDisks = DataDisk & { readonly boots: number; readonly bootId: string };

/**
 * Opens the data disks, tells what is wrong with each that is not one any more, and counts this
 * start of the machine. Records that were copied to memory, or that lie on a disk that can only be
 * read, are taken where nothing newer is to be had.
 */
export async function openDisks(parts: OpeningParts): Promise<OwnDisks> {
  const { boot, console, signal } = parts;
  const known = await readKnown();
  const disk = await openDataDisks({
    takeBlankDisks: mayTakeBlankDisks(boot, console),
    failed: new Map(known.failed.map(({ device, sentence }) => [device, sentence])),
    machine: await machineName(),
    steady: () => performance.now(),
    signal,
  });
  const failed = [...known.failed, ...goneSince(known, disk)];
  await writeKnown({ open: disk.disks.map(({ device, serial }) => [device, serial]), failed });
  tellTroubles(parts.troubles, disk, failed);
  const others = disk.disks.length - 1;
  const beside = others > 0 ? ` and ${others} more` : '';
  if (disk.path === null) console.reached('data-in-memory', disk.because.join('; '));
  else console.reached('data-disk', `${disk.disk.path}${disk.isNew ? ' made new' : ''}${beside}`);
  const folders = disk.disks.map(({ path }) => `${path}/node`);
  const [first = MEMORY_FOLDER, ...rest] = folders;
  await takeRecords(first, [MEMORY_FOLDER, ...readOnlyFolders(disk)]);
  for (const folder of rest) await copyRecords(first, folder);
  const now = await thisBoot();
  const boots = await countBoot([first, ...rest], now);
  return { ...disk, boots, bootId: now.bootId };
}

/** Where the node's records are. */
export function nodeFolder({ path }: Pick<DataDisk, 'path'>): string {
  return path === null ? MEMORY_FOLDER : `${path}/node`;
}

/** Remembers until the machine's next start that a disk failed, and how. */
export async function noteFailed(failed: FailedDisk): Promise<void> {
  const known = await readKnown();
  await writeKnown({ ...known, failed: [...known.failed, failed] });
}

/** A disk that was made anew is none that failed. */
export async function forgetFailed(device: string): Promise<void> {
  const { open, failed } = await readKnown();
  await writeKnown({ open, failed: failed.filter((each) => each.device !== device) });
}

/** A disk that was open in this boot and is not there any more. */
function goneSince({ open, failed }: Known, { disks, refused }: DataDisk): FailedDisk[] {
  const seen = new Set([
    ...disks.map(({ device }) => device),
    ...refused.map(({ disk }) => disk.path),
    ...failed.map(({ device }) => device),
  ]);
  return open
    .filter(([device]) => !seen.has(device))
    .map(([device, serial]) => ({
      device,
      code: 'DISK_GONE',
      sentence: `disk ${serial} (${device}) is gone; put it back and start the machine again`,
    }));
}

function tellTroubles(
  troubles: Pick<Troubles, 'set'>,
  { troubled }: DataDisk,
  failed: readonly FailedDisk[],
): void {
  const all: { code: TroubleCode; sentence: string }[] = [
    ...failed,
    ...troubled.map(({ disk, code, because }) => ({
      code,
      sentence: `disk ${disk.serial} (${disk.path}): ${because}`,
    })),
  ];
  for (const code of new Set(all.map((each) => each.code))) {
    const sentences = all.filter((each) => each.code === code).map(({ sentence }) => sentence);
    troubles.set(code, sentences.join('; '));
  }
}

/** The first of the sources that has records, where the folder has none. */
async function takeRecords(folder: string, sources: readonly string[]): Promise<void> {
  for (const source of sources) {
    if (await hasRecords(folder)) return;
    if (source !== folder && (await hasRecords(source))) await copyRecords(source, folder);
  }
}

function readOnlyFolders({ troubled }: DataDisk): string[] {
  return troubled
    .filter(({ code }) => code === 'DISK_READ_ONLY')
    .map(({ disk }) => `${folderOf(disk)}/node`);
}

async function readKnown(): Promise<Known> {
  const text = await readText(KNOWN_PATH, FILE_BYTES_MAX);
  return text === undefined ? { open: [], failed: [] } : knownSchema.parse(JSON.parse(text));
}

async function writeKnown(known: Known): Promise<void> {
  await writeDurably({ path: KNOWN_PATH, bytes: JSON.stringify(known) });
}

async function thisBoot(): Promise<{ readonly bootId: string; readonly machine: string }> {
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  return { bootId: bootId.trim(), machine: await machineName() };
}

/** What the board calls this one machine; many say nothing, and some say the same for all. */
async function machineName(): Promise<string> {
  const path = '/sys/class/dmi/id/product_uuid';
  const text = (await readFile(path, 'utf8').catch(() => '')).trim().toLowerCase();
  return /^[0-9a-f-]{36}$/u.test(text) && !/^[0f-]+$/u.test(text) ? text : '';
}

/**
 * Only the farmer's signed word lets the node take a disk. The token's end is for joining: a node
 * that joined goes on booting from the same media.
 */
function mayTakeBlankDisks({ media, grid }: BootFiles, console: AgentConsole): boolean {
  const { token, farmer } = media;
  if (token === null || farmer === null) return false;
  try {
    const context = { farmer: verifyIdentity(farmer), grid: grid.grid, nowMs: 0 };
    return verifyJoinToken(token, context).takeBlankDisks;
  } catch (error) {
    console.say(`refused join token: ${codeOf(error)} ${sentenceOf(error)}`);
    return false;
  }
}
