import { observeBoot } from '../../capacity/observe-boot.ts';
import type { BootFacts } from '../../capacity/class.ts';
import type { DataDisk } from '../../disk/apply.ts';
import { sentenceOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { AgentConsole } from '../bringup/console.ts';
import { openSelf, type Self } from '../bringup/identity.ts';
import { hasRecords } from '../disks/records.ts';
import { openSealer, SealError } from './sealing.ts';

const AGAIN_MS = 30 * SECOND_MS;

export type OwnParts = {
  /** Where the node's records are. */
  readonly folder: string;
  readonly disk: DataDisk;
  readonly console: AgentConsole;
  readonly loader: BootFacts['loader'];
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

/**
 * Who this machine is. Where its key is there and can't be had, it waits and says why, and makes no
 * new one: a machine that was repaired is the node that it was, and never another by mistake.
 */
export async function openOwnSelf(parts: OwnParts, signal: AbortSignal): Promise<Self> {
  const { folder, disk, console, loader, sleep } = parts;
  const { isSecureBoot } = await observeBoot(loader);
  for (;;) {
    const lost = await lostKey(disk, folder);
    try {
      if (lost === undefined) {
        const self = await openSelf(folder, await openSealer({ isSecureBoot }));
        console.waits('identity', null);
        const sealed = self.isSealed ? ' sealed' : '';
        const fresh = self.isNew ? ' made new' : '';
        console.reached('identity', `node=${self.identity.id}${fresh}${sealed}`);
        return self;
      }
      console.waits('identity', lost);
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      console.waits('identity', `the key of this node: ${sentenceOf(error)}`);
    }
    await sleep(AGAIN_MS, signal);
    signal.throwIfAborted();
  }
}

/** Why a new key would be a mistake: the one that there is lies on a disk that can't be read. */
async function lostKey({ troubled }: DataDisk, folder: string): Promise<string | undefined> {
  const dead = troubled.find(({ code }) => code === 'DISK_CORRUPT' || code === 'DISK_READ_ONLY');
  if (dead === undefined || (await hasRecords(folder))) return undefined;
  return (
    `the key of this node, which may be on ${dead.disk.path} (${dead.disk.serial}): ` +
    `${dead.because}; put the disk right, or take it out and start again to be another node`
  );
}
