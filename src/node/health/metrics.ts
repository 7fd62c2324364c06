import { readdir } from 'node:fs/promises';
import type { Metrics } from '../../contract/health/metrics.ts';
import {
  busyPermille,
  readDiskTraffic,
  readPressure,
  readRoom,
  readTicks,
  readTraffic,
  type Ticks,
} from '../../host/usage/machine.ts';
import { readOwnUse } from '../../host/usage/process.ts';

const CONTAINERS_PATH = '/sys/fs/cgroup/zos/containers';

/** Reads how busy the machine is; each reading counts from the one before it. */
export function openMetrics(dataFolder: string): () => Promise<Metrics> {
  let before: Ticks | undefined;
  return async () => {
    const [ticks, pressure, room, written, network, agent, containers] = await Promise.all([
      readTicks(),
      readPressure(),
      readRoom(dataFolder),
      readDiskTraffic(),
      readTraffic(),
      readOwnUse(),
      countContainers(),
    ]);
    const busy = busyPermille(before ?? { busy: 0, all: 0 }, ticks);
    before = ticks;
    return {
      busyPermille: busy,
      pressure,
      disk: { ...room, ...written },
      network,
      containers,
      agent,
    };
  };
}

/** Each has a control group of its own, for as long as it is there. */
async function countContainers(): Promise<number> {
  const entries = await readdir(CONTAINERS_PATH, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).length;
}
