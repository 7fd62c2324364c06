import { afterAll, beforeAll } from 'vitest';
import { usePostgres } from '../../support/store/stores.ts';

// The very tests that run on SQLite, on a PostgreSQL server of Debian's package.
let server: AsyncDisposable;
beforeAll(async () => {
  server = await usePostgres();
}, 300_000);
// A database for each test is many files to remove.
afterAll(async () => server[Symbol.asyncDispose](), 300_000);

await import('../booking.test.ts');
await import('../capacity/search.test.ts');
await import('../capacity/uptime.test.ts');
await import('../erasure.test.ts');
await import('../feed/feeds.test.ts');
await import('../feed/wants.test.ts');
await import('../flow.test.ts');
await import('../http.test.ts');
await import('../http/connections.test.ts');
await import('../identity/identities.test.ts');
await import('../meters.test.ts');
await import('../metrics/metrics.test.ts');
await import('../phonebook/mailboxes.test.ts');
await import('../phonebook/names.test.ts');
await import('../record/record.test.ts');
await import('../refusals.test.ts');
await import('../registration.test.ts');
await import('../release/release.test.ts');
await import('../rollout/refusals.test.ts');
await import('../rollout/share.test.ts');
await import('../rollout/turns.test.ts');
