import { formatBytes } from '../lib/units.ts';
import type { ContainerHave, ContainerSpec } from './plan.ts';

/** What a node says of a container in a receipt, as far as the kernel shows it. */
export type ContainerStatus = {
  readonly state: 'running' | 'stopped';
  readonly because: string;
  readonly pid?: number;
  readonly startedAtMs?: number;
};

/** What there is to say of a container that is there; of one that is not, the loop speaks. */
export function containerStatus(spec: ContainerSpec, have: ContainerHave): ContainerStatus {
  switch (have.state) {
    case 'running':
      return { state: 'running', because: '', pid: have.pid, startedAtMs: have.startedAtMs };
    case 'created':
      return { state: 'stopped', because: 'it is made and not started yet' };
    case 'stopped': {
      if (have.oomKills === 0) return { state: 'stopped', because: 'its program has ended' };
      const limit = formatBytes(spec.container.memoryBytes);
      return { state: 'stopped', because: `it took more than its ${limit} of memory` };
    }
    default:
      return have.state satisfies never;
  }
}
