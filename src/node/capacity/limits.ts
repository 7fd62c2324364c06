import { freemem, loadavg, totalmem } from 'node:os';
import { statfs } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { addResources, NO_RESOURCES, type Resources } from '../../capacity/spec.ts';
import { fetchBytes } from '../../host/http.ts';
import { MINUTE_MS } from '../../lib/units.ts';
import { type MeasureParts, openMeasure } from './measure.ts';

/** A challenge takes at most this part of what is there, of what is free, and of what is unsold. */
const ALL_PARTS = 8;
const FREE_PARTS = 4;
const UNSOLD_PARTS = 2;

export type MeasuredMachine = {
  /** The directory's id, and its address now. */
  readonly directory: string;
  readonly url: () => string;
  /** What the node offers. */
  readonly total: Resources;
  readonly processors: number;
  /** The folder of the data disk; `null` while data lies in memory. */
  readonly diskFolder: string | null;
  readonly signal: AbortSignal;
};

type Held = { readonly values: () => Iterable<{ readonly resources: Resources }> };

/** Challenges of this machine, behind whatever its contracts hold. */
export function openMachineMeasure(machine: MeasuredMachine, held: Held) {
  const { directory, total, processors, diskFolder, signal } = machine;
  const limits: MeasureParts['limits'] = async () => {
    const sold = [...held.values()].reduce(
      (sum, { resources }) => addResources(sum, resources),
      NO_RESOURCES,
    );
    const unsold = (all: number, taken: number): number => Math.max(0, all - taken) / UNSOLD_PARTS;
    const freeDiskBytes = diskFolder === null ? 0 : await freeBytesOf(diskFolder);
    return {
      memoryBytes: Math.min(
        totalmem() / ALL_PARTS,
        freemem() / FREE_PARTS,
        unsold(total.memoryBytes, sold.memoryBytes),
      ),
      diskBytes: Math.min(freeDiskBytes / ALL_PARTS, unsold(total.ssdBytes, sold.ssdBytes)),
    };
  };
  return openMeasure({
    directory,
    limits,
    processors,
    diskPath: diskFolder === null ? null : `${diskFolder}/measured.plot`,
    // Half of the processors at work for a minute is no time to ask for more.
    isIdle: () => (loadavg()[0] ?? 0) < Math.max(1, processors / 2),
    steady: () => performance.now(),
    sleep: async (ms) => pause(ms, undefined, { signal }),
    fetchSample: async (question, sampleBytes) => {
      const url = `${machine.url().replace(/\/+$/u, '')}/v1/measurements/${question}/sample`;
      const wish = { url, bytesMax: sampleBytes, deadlineMs: MINUTE_MS, signal };
      return fetchBytes(wish);
    },
  });
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
