import { freemem, totalmem } from 'node:os';
import type { BootRecord } from '../../artifact/spec.ts';
import { BOOT_REFUSALS_MAX, type BootReport, type Heartbeat } from '../../contract/receipt.ts';
import type { DataDisk } from '../../disk/apply.ts';
import type { OwnClass } from '../bringup/attestation.ts';
import type { AgentConsole } from '../bringup/console.ts';
import type { Self } from '../bringup/identity.ts';
import { openMetrics } from './metrics.ts';
import { ownAddresses } from '../../host/net/ip.ts';
import { ownCards } from './power.ts';
import type { ReserveHolder } from '../capacity/reserve.ts';
import type { OwnDisks } from '../disks/opening.ts';
import type { DiskWatch } from '../disks/watch.ts';
import type { Supervisor } from '../update/supervisor.ts';
import type { Update } from '../update/update.ts';

/** What the node says of itself in each sign of life, beside what numbers and dates it. */
export type Life = Omit<Heartbeat, 'grid' | 'node' | 'seq' | 'atMs'>;

export type LifeParts = {
  readonly record: BootRecord;
  readonly console: AgentConsole;
  readonly disk: OwnDisks;
  readonly watch: Pick<DiskWatch, 'disks'>;
  readonly agentStarts: number;
  readonly supervisor: Supervisor;
  readonly update: Update;
  readonly own: OwnClass;
  readonly reserve: Pick<ReserveHolder, 'look'>;
  readonly self: Pick<Self, 'isSealed'>;
  readonly sinceKernelStartMs: () => number;
};

/** Reads how the machine is, each time anew. */
export function openLife(parts: LifeParts): () => Promise<Life> {
  const { record, console, disk, agentStarts, supervisor, update, own } = parts;
  const { isSecureBoot, lockdown } = own.facts;
  // Without a disk the data lie in memory, where the agent has its own.
  const readMetrics = openMetrics(disk.path ?? '/run');
  const readUse = async (): Promise<Pick<Life, 'metrics'>> => {
    try {
      await parts.reserve.look();
      return { metrics: await readMetrics() };
    } catch {
      // A disk that is gone has no figures, and the rest is told all the same.
      return {};
    }
  };
  return async () => ({
    bootId: disk.bootId,
    uptimeMs: parts.sinceKernelStartMs(),
    memory: { totalBytes: totalmem(), availableBytes: freemem() },
    system: record.systemSha256,
    isOnTrial: await supervisor.isOnTrial(),
    addresses: ownAddresses().slice(0, 32),
    stages: [...console.stages],
    keyKept: keptHow(disk, parts.self),
    security: { isSecureBoot, lockdown, because: own.because.slice(0, 500) },
    boot: bootReportOf(record),
    agentStarts,
    starts: [...update.starts],
    systemBad: [...update.marks.all()],
    kernel: record.kernel,
    boots: disk.boots,
    disks: [...parts.watch.disks()],
    cards: ownCards(),
    ...(await readUse()),
  });
}

function keptHow({ path }: DataDisk, { isSealed }: Pick<Self, 'isSealed'>): Life['keyKept'] {
  if (path === null) return 'memory';
  return isSealed ? 'sealed' : 'disk';
}

function bootReportOf({ versions, loader, media, refusals }: BootRecord): BootReport {
  return { versions, loader, media, refusals: refusals.slice(-BOOT_REFUSALS_MAX) };
}
