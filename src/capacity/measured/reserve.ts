import { MiB } from '../../lib/units.ts';

/** A reserve is told in steps, so that noise changes no offer. */
const STEP_BYTES = 16 * MiB;
/** What was seen is not all that may come: an eighth of it is kept beside it. */
const AIR_PARTS = 8;

/** Who has a machine's memory at one moment; what can be given back at once counts as nobody's. */
export type MemoryUse = {
  /** Of kernel, system image and everything that runs but containers, and without an update. */
  readonly systemBytes: number;
  /** The agent's own part of that. */
  readonly agentBytes: number;
};

/**
 * What the system needs, out of what it was seen to take: all of it, with the agent counted not at
 * what it takes now but at the most that it lets itself take.
 */
export function reserveOf({ systemBytes, agentBytes }: MemoryUse, agentBytesMax: number): number {
  const othersBytes = Math.max(0, systemBytes - agentBytes);
  return inSteps(othersBytes + agentBytesMax);
}

function inSteps(bytes: number): number {
  return Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
}

/** What a node keeps for itself, and the most that it was seen to need. */
export type Reserve = {
  /** Of this system image, for another needs another. */
  readonly system: string;
  readonly keptBytes: number;
  readonly neededBytes: number;
};

export type ReserveWish = {
  readonly system: string;
  /** Of its image: while an update is under way there are two of them in memory. */
  readonly imageBytes: number;
  /** Of the last agent, if there was one. */
  readonly before: Reserve | undefined;
  readonly neededBytes: number;
  /** Whether tenants have contracts by the offer of before: no ground is taken from under them. */
  readonly isSold: boolean;
};

/** The reserve of this start: the most that was ever needed, unless what is left was sold; pure. */
export function nextReserve(wish: ReserveWish): Reserve {
  const { system, imageBytes, before, neededBytes, isSold } = wish;
  const isSame = before?.system === system;
  const most = Math.max(neededBytes, isSame ? before.neededBytes : 0);
  if (before !== undefined && isSold) {
    return { system, keptBytes: before.keptBytes, neededBytes: most };
  }
  return { system, keptBytes: inSteps(most + most / AIR_PARTS + imageBytes), neededBytes: most };
}

/** Of what is kept, what the system may take while no update is under way. */
export function keptAtRest({ keptBytes }: Reserve, imageBytes: number): number {
  return Math.max(0, keptBytes - imageBytes);
}
