import { readdir, stat } from 'node:fs/promises';
import { z } from 'zod';
import {
  keptAtRest,
  type MemoryUse,
  nextReserve,
  type Reserve,
  reserveOf,
} from '../../capacity/measured/reserve.ts';
import { readText, writeDurably } from '../../host/files.ts';
import { readSystemBytes } from '../../host/usage/memory.ts';
import { readOwnUse } from '../../host/usage/process.ts';
import { sha256Schema } from '../../lib/names.ts';
import { formatBytes } from '../../lib/units.ts';
import { AGENT_LIMITS } from '../health/growth.ts';
import type { Troubles } from '../health/troubles.ts';

const FILE_BYTES_MAX = 1024;

const reserveSchema = z.strictObject({
  system: sha256Schema,
  keptBytes: z.int().min(0),
  neededBytes: z.int().min(0),
});

/** The memory that this node keeps for itself, and whether it is enough. */
export type ReserveHolder = {
  readonly keptBytes: number;
  /** Looks again at what the system needs; more than ever is written down for the next start. */
  readonly look: () => Promise<void>;
};

export type ReserveParts = {
  /** What the data disk keeps of this node. */
  readonly folder: string;
  /** SHA-256 of the system image that runs. */
  readonly system: string;
  /** Where it lies in memory; an update beside it, in `other/`, is no need of the system. */
  readonly bootFolder: string;
  /** Images and data lie in memory too: what is taken then says nothing of the system. */
  readonly isInMemory: boolean;
  readonly troubles: Pick<Troubles, 'set'>;
  readonly read?: () => Promise<MemoryUse>;
};

/**
 * Measures what the system needs. Who can write the file can make the node offer more memory than
 * it can spare, or less than it has; it is told when that is not enough.
 */
export async function openReserve(parts: ReserveParts): Promise<ReserveHolder> {
  const { folder, system, bootFolder, troubles } = parts;
  const { read = async () => readMemoryUse(`${bootFolder}/other`) } = parts;
  const path = `${folder}/reserve.json`;
  const imageBytes = await sizeOf(`${bootFolder}/system.erofs`);
  const needed = async (): Promise<number> => reserveOf(await read(), AGENT_LIMITS.memoryBytes);
  const before = await readReserve(path);
  const sold: string[] = await readdir(`${folder}/contracts`).catch(() => []);
  const isSold = parts.isInMemory || sold.some((name) => name.startsWith('contract-'));
  let reserve = nextReserve({ system, imageBytes, before, neededBytes: await needed(), isSold });
  const write = async (): Promise<void> => writeDurably({ path, bytes: JSON.stringify(reserve) });
  await write();
  return {
    keptBytes: reserve.keptBytes,
    look: async () => {
      if (parts.isInMemory) return;
      const neededBytes = await needed();
      const keptBytes = keptAtRest(reserve, imageBytes);
      const isShort = neededBytes > keptBytes;
      troubles.set('RESERVE_SHORT', isShort ? shortSentence(neededBytes, keptBytes) : null);
      if (neededBytes <= reserve.neededBytes) return;
      reserve = { ...reserve, neededBytes };
      await write();
    },
  };
}

function shortSentence(neededBytes: number, keptBytes: number): string {
  const [needs, keeps] = [formatBytes(neededBytes), formatBytes(keptBytes)];
  return `The system needs ${needs} of memory and keeps ${keeps}; without contracts it keeps more.`;
}

async function readMemoryUse(updateFolder: string): Promise<MemoryUse> {
  const names: string[] = await readdir(updateFolder).catch(() => []);
  const [takenBytes, { memoryBytes: agentBytes }, sizes] = await Promise.all([
    readSystemBytes(),
    readOwnUse(),
    Promise.all(names.map(async (name) => sizeOf(`${updateFolder}/${name}`))),
  ]);
  const updateBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
  return { systemBytes: Math.max(0, takenBytes - updateBytes), agentBytes };
}

/** What is gone, or not there yet, takes no room. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function readReserve(path: string): Promise<Reserve | undefined> {
  try {
    const text = await readText(path, FILE_BYTES_MAX);
    return text === undefined ? undefined : reserveSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
