import { parseMicros } from '../../capacity/price.ts';
import { classSchema, FEATURES, NODE_CLASSES } from '../../capacity/spec.ts';
import type { CapacityQuery } from '../../sdk/calls/farms.ts';
import { parseSize } from '../deployment/units.ts';
import { BotError } from '../errors.ts';
import { chooseFarm } from '../farm/farm.ts';
import { readFarms } from '../store.ts';
import type { World } from '../world.ts';

/** What `zos nodes` was asked for, as people wrote it. */
export type NodesOptions = {
  readonly cpu?: string;
  readonly memory?: string;
  readonly ssd?: string;
  readonly hdd?: string;
  readonly country?: string;
  readonly class?: string;
  readonly farm?: string;
  readonly feature?: readonly string[];
  readonly price?: string;
  readonly online?: true;
};

/** The search that the options write; `undefined` when they ask for nothing. */
export async function searchOf(
  world: World,
  options: NodesOptions,
): Promise<CapacityQuery | undefined> {
  const search: CapacityQuery = {
    cpuMillis: read(options.cpu, cpuOf, 'processors, such as 2 or 0.5'),
    memoryBytes: read(options.memory, sizeOf, 'memory, such as 4GiB'),
    ssdBytes: read(options.ssd, sizeOf, 'storage, such as 100GiB'),
    hddBytes: read(options.hdd, sizeOf, 'storage, such as 100GiB'),
    country: read(options.country, countryOf, 'a country, two letters such as BE'),
    class: read(options.class, classOf, `a class; there are ${NODE_CLASSES.join(', ')}`),
    features: read(options.feature, featuresOf, `features; there are ${FEATURES.join(', ')}`),
    hourMicrosMax: read(options.price, parseMicros, 'a price an hour, such as 0.05'),
    isOnline: options.online === true ? 'true' : undefined,
    farm: options.farm === undefined ? undefined : await farmOf(world, options.farm),
  };
  return Object.values(search).some((value) => value !== undefined) ? search : undefined;
}

function read<From extends string | readonly string[], To>(
  text: From | undefined,
  parse: (text: From) => To | undefined,
  what: string,
): To | undefined {
  if (text === undefined) return undefined;
  const value = parse(text);
  if (value !== undefined) return value;
  throw new BotError('USAGE', `"${String(text)}" is not right here; write ${what}.`);
}

function cpuOf(text: string): number | undefined {
  const isNumber = /^\d{1,4}(?:\.\d{1,3})?$/u.test(text);
  return isNumber ? Math.round(Number(text) * 1000) : undefined;
}

/** `4GiB`, or in short `4G`. */
function sizeOf(text: string): number | undefined {
  return parseSize(text) ?? parseSize(`${text}iB`);
}

function countryOf(text: string): string | undefined {
  return /^[A-Za-z]{2}$/u.test(text) ? text.toUpperCase() : undefined;
}

function classOf(text: string): string | undefined {
  return classSchema.safeParse(text).data;
}

function featuresOf(names: readonly string[]): string | undefined {
  const known: readonly string[] = FEATURES;
  return names.every((name) => known.includes(name)) ? names.join(',') : undefined;
}

/** A farm by its id, or one of this farmer by its name. */
async function farmOf(world: World, text: string): Promise<string> {
  if (/^[0-9a-f]{64}$/u.test(text)) return text;
  return chooseFarm(await readFarms(world.home), text).id;
}
