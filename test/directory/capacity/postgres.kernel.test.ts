import { afterAll, beforeAll } from 'vitest';
import { usePostgres } from '../../support/store/stores.ts';

// The very tests that run on SQLite, on a PostgreSQL server of Debian's package.
let server: AsyncDisposable;
beforeAll(async () => {
  server = await usePostgres();
}, 300_000);
afterAll(async () => server[Symbol.asyncDispose](), 60_000);

await import('./measured.kernel.test.ts');
