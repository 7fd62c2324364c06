import { openLog } from '../../host/log.ts';
import type { AgentParts } from '../agent.ts';
import { openFloor } from '../boot/floor.ts';
import type { BootFiles } from '../bringup/boot-files.ts';
import type { Self } from '../bringup/identity.ts';
import type { HomeHolder } from '../identity/home.ts';
import type { AgentConsole } from '../bringup/console.ts';
import { STATUS_DISK } from '../update/supervisor.ts';
import { openConsents } from './consents.ts';
import { nodeFolder, type OwnDisks } from './opening.ts';

export type KeptParts = {
  readonly boot: BootFiles;
  readonly disk: OwnDisks;
  readonly console: AgentConsole;
  readonly self: Self;
  readonly home: HomeHolder;
  readonly nowMs: () => number;
  /** Ends the agent with a status that PID 1 goes by. */
  readonly end: (status: number) => void;
};

/** What the node does with its disks beside looking after them. */
export function keptOnDisks(
  parts: KeptParts,
): Pick<AgentParts, 'bootId' | 'takeConsents' | 'keepFloor'> {
  const { boot, disk, console, self, home, nowMs, end } = parts;
  return {
    bootId: disk.bootId,
    takeConsents: openConsents({
      home,
      grid: boot.grid.grid,
      node: self.identity.id,
      folder: nodeFolder(disk),
      nowMs,
      say: console.say,
      onTaken: () => end(STATUS_DISK),
    }),
    keepFloor: openFloor({ record: boot.record, disk, console, log: openLog('floor') }),
  };
}
