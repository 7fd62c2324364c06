import type { OwnUse } from '../../host/usage/process.ts';
import { formatBytes, formatDuration, HOUR_MS, MiB, MINUTE_MS } from '../../lib/units.ts';

/** What the agent may keep for itself: beyond it the agent starts anew, and harms no container. */
export const AGENT_LIMITS: OwnUse = { memoryBytes: 96 * MiB, descriptors: 512, timers: 2048 };

/** How often it looks at itself, and from how many looks it takes the least. */
export const LOOK_MS = MINUTE_MS;
const FLOOR_LOOKS = 30;
/** The floors that it remembers: of a day. */
const FLOORS_MAX = 48;
/** Fewer say nothing of a slope. */
const FLOORS_MIN = 4;
/** Growth that leads to the limit within this is told. */
const AHEAD_MS = 24 * HOUR_MS;

type Floor = OwnUse & { readonly atMs: number };

/** What the agent took lately. Work comes and goes; what it never comes back below is growth. */
export type Growth = { readonly looks: readonly OwnUse[]; readonly floors: readonly Floor[] };

export const NO_GROWTH: Growth = { looks: [], floors: [] };

/** Adds a look; pure. */
export function withLook(growth: Growth, use: OwnUse, atMs: number): Growth {
  const looks = [...growth.looks, use];
  if (looks.length < FLOOR_LOOKS) return { ...growth, looks };
  const floor = { ...floorOf(looks), atMs };
  return { looks: [], floors: [...growth.floors, floor].slice(-FLOORS_MAX) };
}

function floorOf(looks: readonly OwnUse[]): OwnUse {
  const least = (part: keyof OwnUse): number => Math.min(...looks.map((use) => use[part]));
  return {
    memoryBytes: least('memoryBytes'),
    descriptors: least('descriptors'),
    timers: least('timers'),
  };
}

/** What follows: `full` ends the agent, so that it starts anew before it dies. */
export type Verdict =
  | { readonly is: 'well' }
  | { readonly is: 'growing' | 'full'; readonly sentence: string };

/** Judges what was seen by the limits, memory first; pure. */
export function judgeGrowth({ floors }: Growth, limits: OwnUse = AGENT_LIMITS): Verdict {
  const last = floors.at(-1);
  if (last === undefined) return { is: 'well' };
  for (const part of PARTS) {
    if (last[part] < limits[part]) continue;
    const [has, most] = [shown(part, last[part]), shown(part, limits[part])];
    return { is: 'full', sentence: `its ${NAMES[part]} did not come back below ${most}: ${has}` };
  }
  for (const part of PARTS) {
    const perHour = slopeOf(floors, part) * HOUR_MS;
    const leftMs = ((limits[part] - last[part]) / perHour) * HOUR_MS;
    if (floors.length < FLOORS_MIN || perHour <= 0 || leftMs > AHEAD_MS) continue;
    const grows = `its ${NAMES[part]} grow by ${shown(part, perHour)} an hour`;
    const [has, most] = [shown(part, last[part]), shown(part, limits[part])];
    const then = `it starts anew in about ${formatDuration(leftMs)}, and harms no container`;
    return { is: 'growing', sentence: `${grows}, and are ${has} of ${most}: ${then}` };
  }
  return { is: 'well' };
}

const PARTS = ['memoryBytes', 'descriptors', 'timers'] as const;

const NAMES = {
  memoryBytes: 'own pages of memory',
  descriptors: 'open files',
  timers: 'timers',
} satisfies Record<keyof OwnUse, string>;

function shown(part: keyof OwnUse, value: number): string {
  return part === 'memoryBytes' ? formatBytes(value) : value.toFixed(0);
}

/** By least squares, a millisecond. */
export function slopeOf(floors: readonly Floor[], part: keyof OwnUse): number {
  const count = floors.length;
  if (count < 2) return 0;
  const meanMs = floors.reduce((sum, { atMs }) => sum + atMs, 0) / count;
  const mean = floors.reduce((sum, floor) => sum + floor[part], 0) / count;
  let [above, below] = [0, 0];
  for (const floor of floors) {
    above += (floor.atMs - meanMs) * (floor[part] - mean);
    below += (floor.atMs - meanMs) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
