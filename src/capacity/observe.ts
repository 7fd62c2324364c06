import { listDisks } from '../host/disk.ts';
import { readHardware } from '../host/hardware.ts';
import { formatBytes } from '../lib/units.ts';
import type { Inventory } from './status.ts';

/** Counts what the machine has; the data disk is told by whoever opened it. */
export async function observeInventory(dataDisk: Inventory['dataDisk']): Promise<Inventory> {
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
    disks: disks.map(({ name, model, lengthBytes, isRotating }) => {
      const medium = isRotating && !name.startsWith('vd') ? 'rotating' : 'solid-state';
      return [name, model, formatBytes(lengthBytes), medium]
        .filter((part) => part !== '')
        .join(' ');
    }),
    dataDisk,
  };
}
