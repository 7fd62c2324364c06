import { runRace } from '../../support/store/bookings.ts';
import { usePostgres } from '../../support/store/stores.ts';
import type { Figure } from '../figure.ts';
import { STORES } from './directory.ts';

const OPERATIONS = 1_000_000;

/** How often a million random operations that race with each other book what is taken. */
export function figuresOfRaces(): Figure[] {
  return STORES.map((kind) => ({
    name: `double-bookings-${kind}`,
    what: `double bookings in a million random concurrent operations, ${kind}`,
    unit: 'times',
    reach: 0,
    measure: async () => {
      await using resources = new AsyncDisposableStack();
      if (kind === 'postgres') resources.use(await usePostgres());
      const seed = Math.floor(Math.random() * 2 ** 31);
      const { taken, refused, doubleBookings } = await runRace(OPERATIONS, seed);
      console.error(`bench: seed ${seed}: ${taken} taken, ${refused} refused`);
      return doubleBookings;
    },
  }));
}
