import { afterAll, expect, test } from 'vitest';
import { runRace } from '../../support/store/bookings.ts';
import { usePostgres } from '../../support/store/stores.ts';

const OPERATIONS = 10_000;
const seed = Math.floor(Math.random() * 2 ** 31);

let server: AsyncDisposable | undefined;
afterAll(async () => server?.[Symbol.asyncDispose](), 60_000);

/** The million is a figure of `npm run bench`; this is a part of it at every test. */
async function race() {
  const { taken, refused, doubleBookings } = await runRace(OPERATIONS, seed);
  // It says nothing unless both happened, a good many times.
  const isRace = Math.min(taken, refused) > OPERATIONS / 20;
  return { seed, isRace, doubleBookings };
}

test('of ten thousand random operations that race none books a node twice, on SQLite', async () => {
  expect(await race()).toEqual({ seed, isRace: true, doubleBookings: 0 });
}, 600_000);

test('nor over two connections to one PostgreSQL, as two processes have them', async () => {
  server = await usePostgres();
  expect(await race()).toEqual({ seed, isRace: true, doubleBookings: 0 });
}, 600_000);
