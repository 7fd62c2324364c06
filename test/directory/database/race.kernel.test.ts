import { afterAll, expect, test } from 'vitest';
import { runRace } from '../../support/store/bookings.ts';
import { usePostgres } from '../../support/store/stores.ts';

const OPERATIONS = 4_000;
const seed = Math.floor(Math.random() * 2 ** 31);

let server: AsyncDisposable | undefined;
afterAll(async () => server?.[Symbol.asyncDispose](), 60_000);

/** The million is a figure of `npm run bench`; this is a part of it at every test. */
async function race(): Promise<void> {
  const { taken, refused, doubleBookings } = await runRace(OPERATIONS, seed);
  expect({ seed, doubleBookings }).toEqual({ seed, doubleBookings: 0 });
  // It says nothing unless both happened, a good many times.
  expect(taken).toBeGreaterThan(OPERATIONS / 20);
  expect(refused).toBeGreaterThan(OPERATIONS / 20);
}

test('of twenty thousand random operations that race none books a node twice, on SQLite', async () => {
  await race();
}, 600_000);

test('nor over two connections to one PostgreSQL, as two processes have them', async () => {
  server = await usePostgres();
  await race();
}, 600_000);
