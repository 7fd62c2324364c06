import { listDisks } from '../host/disk.ts';
import { readHardware } from '../host/hardware.ts';
import { formatBytes } from '../lib/units.ts';
import type { Inventory } from './status.ts';

/** Counts what the machine has; the data disks are told by whoever opened and measured them. */
export async function observeInventory(
  dataDisks: readonly (Inventory['dataDisks'][number] & { readonly device: string })[],
): Promise<Inventory> {
  const classOf = new Map(dataDisks.map((disk) => [disk.device, disk.class]));
  const [hardware, disks] = await Promise.all([readHardware(), listDisks()]);
  return {
    board: hardware.board,
    processor: hardware.processor,
    processorCount: hardware.processorCount,
    processorFlags: hardware.processorFlags,
    memoryBytes: hardware.memoryBytes,
    networkCards: hardware.networkCards.map(({ link, driver, mac, speedMbps }) => {
      const speed = speedMbps === undefined ? '' : ` ${speedMbps} Mbit/s`;
      return `${link} ${driver} ${mac}${speed}`;
    }),
    disks: disks.map(({ name, path, model, serial, lengthBytes }) => {
      const medium = classOf.get(path) ?? 'not used';
      return [name, model, serial, formatBytes(lengthBytes), medium]
        .filter((part) => part !== '')
        .join(' ');
    }),
    dataDisks,
  };
}
