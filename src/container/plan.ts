import type { Difference } from '../lib/driver.ts';
import { NO_DIFFERENCE } from '../lib/driver.ts';
import { sha256Hex, utf8 } from '../lib/bytes.ts';
import { digestOf } from './oci.ts';
import type { Container } from './spec.ts';

/** A container as it shall stand on this node: the wish of the contract with all names resolved. */
export type ContainerSpec = {
  /** `<first 16 digits of the contract's id>-<name>`; crun knows it by that. */
  readonly id: string;
  readonly contract: string;
  readonly container: Container;
  /** Where its image is mounted. */
  readonly rootPath: string;
  readonly attachment: Attachment | null;
  /** As they came: this is kept, compared and shown, so nothing in it is open. */
  readonly secrets: readonly SealedSecret[];
  /** Left out where there is none, so that what ran before there were any is still the same. */
  readonly mounts?: readonly VolumeMount[];
};

/** What of the machine is put into a container, and where. */
export type VolumeMount = {
  /** The folder or the block device on the node. */
  readonly source: string;
  readonly path: string;
  readonly kind: 'folder' | 'device';
};

/** A value that only this node can open, and where the container finds it. */
export type SealedSecret = {
  readonly name: string;
  /** The variable of its environment; a file where there is none. */
  readonly env: string | null;
  /** Base64 of the box. */
  readonly sealed: string;
  /** Hex of the hash over what it was sealed for. */
  readonly binding: string;
};

/** Where a container is joined to a network. */
export type Attachment = {
  /** The network namespace at the other end of its link. */
  readonly netns: string;
  readonly address: string;
  readonly mtuBytes: number;
};

/** What is there of a container. */
export type ContainerHave = {
  readonly id: string;
  /** Of the wish that it was made from. */
  readonly digest: string | undefined;
  readonly state: 'created' | 'running' | 'stopped';
  /** 0 when a start was cut off before there was one. */
  readonly pid: number;
  /** When its process began, since the kernel started: with its id, what tells runs apart. */
  readonly startTicks: number;
  readonly startedAtMs: number;
  /** How often the kernel ended it for want of memory. */
  readonly oomKills: number;
  readonly logBytes: number;
  /** What the kernel counted of it since it began; `null` of what does not run. */
  readonly counts: Counts | null;
};

/** What the kernel counts of a container. */
export type Counts = {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
};

/** The id that a container has on a node, in crun and in the loop. */
export function containerIdOf(contractId: string, name: string): string {
  return `${contractId.slice(0, 16)}-${name}`;
}

/** The wish under the id that it has on a node. */
export function containerSpecOf(wish: Omit<ContainerSpec, 'id'>): ContainerSpec {
  return { id: containerIdOf(wish.contract, wish.container.name), ...wish };
}

/** A container is never changed, only made anew or started again: what runs is what was signed. */
export function compareContainer(
  spec: ContainerSpec,
  have: ContainerHave,
  digest = digestOf(spec),
): Difference {
  if (have.digest === undefined) return { change: 'replace', because: 'half-made' };
  if (have.digest !== digest) return { change: 'replace', because: 'other-wish' };
  if (have.state === 'created') return { change: 'update', because: 'never-started' };
  if (have.state === 'stopped') {
    return { change: 'update', because: have.oomKills > 0 ? 'out-of-memory' : 'exited' };
  }
  return NO_DIFFERENCE;
}

/** The node's end of the pair of links between a container and its znet. */
export function linkNameOf(containerId: string): string {
  return `c-${sha256Hex(utf8(`zos-link\n${containerId}`)).slice(0, 12)}`;
}
