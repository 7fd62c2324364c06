import type { ContainerHave, ContainerSpec } from '../../container/plan.ts';
import type { NamedFile } from '../../lib/names.ts';
import { formatBytes } from '../../lib/units.ts';
import type { KeptVolume, VolumeHave, VolumeSpec } from '../../volume/plan.ts';
import type { ZnetHave, ZnetSpec } from '../../znet/plan.ts';
import type { ImageHave } from '../../zosfs/plan.ts';

/** What somebody wants of a thing, in words; nothing of its kind is to be said in any case. */
export function wantWords(kind: string, spec: unknown): string {
  switch (kind) {
    case 'container': {
      const { cpuMillis, memoryBytes, image } = (spec as ContainerSpec).container;
      const most = `${formatBytes(memoryBytes)}, ${cpuMillis / 1000} processors`;
      return `runs image ${image.sha256} with at most ${most}`;
    }
    case 'image':
      return `${formatBytes((spec as NamedFile).lengthBytes)}, checked and mounted`;
    case 'znet': {
      const { address, peers } = spec as ZnetSpec;
      return `${address} with ${peers.length} known peers`;
    }
    case 'volume': {
      if ('isKept' in (spec as VolumeSpec | KeptVolume)) return 'is left as it is';
      const { lengthBytes, format, class: on } = spec as VolumeSpec;
      return `${formatBytes(lengthBytes)} of ${on}, ${format}, encrypted`;
    }
    default:
      return 'is there';
  }
}

/** What there is of a thing, in words. */
export function haveWords(kind: string, have: unknown): string {
  switch (kind) {
    case 'container': {
      const { state, pid, oomKills } = have as ContainerHave;
      const killed = oomKills > 0 ? `, ended ${oomKills} times for want of memory` : '';
      return state === 'running' ? `running as process ${pid}${killed}` : `${state}${killed}`;
    }
    case 'image':
      return (have as ImageHave).isMounted ? 'mounted' : 'not mounted';
    case 'znet': {
      const { isWhole, port, peers } = have as ZnetHave;
      return isWhole ? `port ${port}, ${peers.length} peers` : 'half made';
    }
    case 'volume': {
      const { fileBytes, takenBytes, device } = have as VolumeHave;
      const state = device === undefined ? 'closed' : 'open';
      return `${formatBytes(takenBytes)} taken of ${formatBytes(fileBytes)}, ${state}`;
    }
    default:
      return 'there';
  }
}
