import { expect, test } from 'vitest';
import { measurementSchema } from '../../../src/capacity/measured/spec.ts';
import { openMeasurer } from '../../../src/directory/capacity/measurer.ts';
import { sampleOf } from '../../../src/directory/capacity/measuring.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { openEnvelope, parsePayload, untrustedPayload } from '../../../src/identity/envelope.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { HOUR_MS, MiB } from '../../../src/lib/units.ts';
import { exchange } from '../../../src/host/http.ts';
import { GRID } from '../../support/contracts.ts';
import type { TestDirectory } from '../../support/directory.ts';
import { startAgent, until } from '../../support/node/agent.ts';
import { joined, openGrid } from '../../support/node/grid.ts';

const silent = (): void => undefined;
const LOG = { debug: silent, info: silent, warn: silent, error: silent };

function measurerOf(directory: TestDirectory) {
  const { own, store, clock } = directory;
  const nowMs = (): number => clock.nowMs;
  return openMeasurer({ grid: GRID, own, store, nowMs, chance: () => 0, log: LOG });
}

test('a node shows its memory, disk, processors and line, and it stands on the record', async () => {
  const { directory, farmer } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  await joined(directory, 1);
  const { signal } = new AbortController();
  const node = agent.self.identity.id;
  const measured = await measurerOf(directory).measure(node, signal);
  expect(measured).toMatchObject({
    because: '',
    // Its own limits: less than an eighth of what it offers.
    memoryBytes: MiB,
    diskBytes: MiB / 2,
    lanes: 2,
    offer: agent.offer.id,
  });
  expect(measured?.roundsPerSecond).toBeGreaterThan(1000);
  expect(measured?.bytesPerSecond).toBeGreaterThan(1000);
  const said = await directory.client.node(node);
  const { envelope, payload } = said.measured ?? {};
  if (envelope === undefined) throw new Error('it was not kept');
  const { keys } = verifyIdentity(directory.own.document);
  const signed = parsePayload(openEnvelope(envelope, 'measurement', keys), measurementSchema);
  expect(signed).toEqual(measured);
  expect(payload).toEqual(measured);
  const digest = sha256Hex(untrustedPayload(envelope, 'measurement'));
  await directory.settled();
  const { status } = await exchange({ url: `${directory.url}/record/envelope/${digest}` });
  expect(status).toBe(200);
});

test('nobody but the directory may measure, and no sample is for who has no question', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  await joined(directory, 1);
  const { signal } = new AbortController();
  const own = { ...directory.own, ...tenant };
  const stranger = openMeasurer({
    grid: GRID,
    own,
    store: directory.store,
    nowMs: () => directory.clock.nowMs,
    chance: () => 0,
    log: LOG,
  });
  const asked = AbortSignal.any([signal, AbortSignal.timeout(2000)]);
  await stranger.measure(agent.self.identity.id, asked).catch(codeOf);
  await until(
    () => agent.lines.join('\n'),
    (lines) => lines.includes('MEASURER_FOREIGN'),
  );
  expect((await directory.client.node(agent.self.identity.id)).measured).toBeNull();
  const url = `${directory.url}/v1/measurements/${'ab'.repeat(32)}/sample`;
  expect((await exchange({ url })).status).toBe(404);
  const [one, other] = ['aa', 'bb'].map((id) => sha256Hex(sampleOf(directory.own, id)));
  expect(one).not.toBe(other);
});

test('a node is measured when it is due, once, and when nobody knows', async () => {
  const { directory, farmer } = await openGrid();
  await using _directory = directory;
  await using agent = await startAgent({ directory, farmer });
  await joined(directory, 1);
  const node = agent.self.identity.id;
  await until(
    async () => (await directory.client.capacity({ isOnline: 'true' })).items.length,
    (count) => count === 1,
  );
  const { nowMs } = directory.clock;
  const wish = { firstMs: nowMs + 1000, nextMs: nowMs + HOUR_MS, limit: 4 };
  const { store } = directory;
  expect(await store.claimDue({ ...wish, nowMs })).toEqual([]);
  expect(await store.claimDue({ ...wish, nowMs: nowMs + 1000 })).toEqual([node]);
  expect(await store.claimDue({ ...wish, nowMs: nowMs + 1000 })).toEqual([]);
});
