import { formatMicros, parseMicros } from '../../capacity/price.ts';
import {
  type Location,
  signTerms,
  type Terms,
  termsSchema,
  verifyTerms,
} from '../../capacity/farm/terms.ts';
import { BotError } from '../errors.ts';
import { type Grid, openGrid } from '../grid.ts';
import { readFarms, readSelf, readTerms, type SavedFarm, type Self, writeTerms } from '../store.ts';
import { plain, table } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { chooseFarm } from './farm.ts';

/** As the farmer wrote them; what is not said stays as it was. */
export type TermsWish = {
  readonly farm?: string;
  readonly country?: string;
  readonly city?: string;
  readonly at?: string;
  readonly payout?: string;
  readonly compute?: string;
  readonly storage?: string;
  readonly network?: string;
};

/** `zos farm terms`: signs where a farm is, what it asks and where it is paid, and shows that. */
export async function farmTerms(world: World, wish: TermsWish): Promise<void> {
  const self = await readSelf(world.home);
  const farm = chooseFarm(await readFarms(world.home), wish.farm);
  const grid = await openGrid(world);
  const { farm: _, ...change } = wish;
  const before = await newestTerms({ world, self, farm, grid });
  const terms =
    Object.keys(change).length === 0
      ? before
      : await signNext({ world, self, farm, grid }, before, change);
  answer(world, { farm: farm.id, name: farm.name, terms }, textOf(farm.name, terms));
}

type Ground = {
  readonly world: World;
  readonly self: Self;
  readonly farm: SavedFarm;
  readonly grid: Grid;
};

/** A directory may show older ones than were signed here last, or none. */
async function newestTerms({ world, self, farm, grid }: Ground): Promise<Terms | null> {
  const said = await grid.client.farm(farm.id);
  const kept = await readTerms(world.home, farm);
  const expected = { grid: grid.name, farm: farm.id };
  const [newest = null] = [said.terms, kept]
    .filter((envelope) => envelope !== null && envelope !== undefined)
    .map((envelope) => verifyTerms(envelope, self.identity, expected))
    .sort((a, b) => b.version - a.version);
  return newest;
}

async function signNext(
  { world, self, farm, grid }: Ground,
  before: Terms | null,
  change: Omit<TermsWish, 'farm'>,
): Promise<Terms> {
  const base: Terms = before ?? {
    grid: grid.name,
    farm: farm.id,
    farmer: self.identity.id,
    version: 0,
    location: null,
    payout: null,
    prices: { computeHourMicros: 0, storageHourMicros: 0, networkMicros: 0 },
  };
  const { compute, storage, network } = change;
  const parsed = termsSchema.safeParse({
    ...base,
    version: base.version + 1,
    location: locationOf(change, base.location),
    payout: change.payout ?? base.payout,
    prices: {
      computeHourMicros: priceOf(compute, base.prices.computeHourMicros),
      storageHourMicros: priceOf(storage, base.prices.storageHourMicros),
      networkMicros: priceOf(network, base.prices.networkMicros),
    },
  });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new BotError('USAGE', `${issue?.path.join(' ') ?? 'terms'}: ${issue?.message ?? ''}.`);
  }
  const envelope = signTerms(parsed.data, self.keys.signing);
  await grid.client.putTerms(farm.id, envelope);
  await writeTerms(world.home, farm, envelope);
  return parsed.data;
}

function locationOf(
  { country, city, at }: Omit<TermsWish, 'farm'>,
  before: Location | null,
): Location | null {
  if (country === undefined && city === undefined && at === undefined) return before;
  const named = country?.toUpperCase() ?? before?.country;
  if (named === undefined) {
    throw new BotError('USAGE', 'A place needs its country; add --country with its two letters.');
  }
  const isMoved = country !== undefined && named !== before?.country;
  const kept = isMoved ? null : before;
  return {
    country: named,
    city: city ?? kept?.city ?? null,
    at: at === undefined ? (kept?.at ?? null) : readPlace(at),
  };
}

function readPlace(text: string): NonNullable<Location['at']> {
  const match = /^(?<north>-?\d{1,2}(?:\.\d+)?),(?<east>-?\d{1,3}(?:\.\d+)?)$/u.exec(text);
  const [north, east] = [Number(match?.groups?.['north']), Number(match?.groups?.['east'])];
  if (Math.abs(north) <= 90 && Math.abs(east) <= 180) {
    return { latitudeTenths: Math.round(north * 10), longitudeTenths: Math.round(east * 10) };
  }
  throw new BotError('USAGE', `"${text}" is no place; write latitude and longitude: 51.1,3.7.`);
}

function priceOf(text: string | undefined, before: number): number {
  if (text === undefined) return before;
  const micros = parseMicros(text);
  if (micros !== undefined) return micros;
  throw new BotError('USAGE', `"${text}" is no price; write one such as 0.0125, up to 1000.`);
}

function textOf(name: string, terms: Terms | null): string {
  if (terms === null) {
    return `Farm ${name} has no terms: its place is not told, and its capacity is free.\n`;
  }
  const { version, location, payout, prices } = terms;
  return table([
    ['Farm:', `${name}, terms version ${version}`],
    ['Place:', location === null ? 'not told' : placeText(location)],
    ['Paid to:', payout ?? 'not told'],
    ['Compute:', `${formatMicros(prices.computeHourMicros)} a CU and hour`],
    ['Storage:', `${formatMicros(prices.storageHourMicros)} an SU and hour`],
    ['Network:', `${formatMicros(prices.networkMicros)} an NU (GB)`],
  ]);
}

/** A place for people: `BE, Ghent (51.1, 3.7)`. */
export function placeText({ country, city, at }: Location): string {
  const named = city === null ? country : `${country}, ${plain(city)}`;
  if (at === null) return named;
  const degrees = [at.latitudeTenths, at.longitudeTenths].map((tenths) => (tenths / 10).toFixed(1));
  return `${named} (${degrees.join(', ')})`;
}
