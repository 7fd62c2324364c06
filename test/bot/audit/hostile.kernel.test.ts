import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test, vi } from 'vitest';
import { EXIT } from '../../../src/bot/errors.ts';
import { exchange } from '../../../src/host/http.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import {
  openTenancy,
  openWatchedDirectory,
  type WatchedDirectory,
} from '../../support/watch/watched-directory.ts';
import { zos } from '../support/captured-terminal.ts';

// Whoever owns the database of a real directory, and a monitor that looks at it.
vi.setConfig({ testTimeout: 240_000 });

type Monitor = () => Promise<{ readonly code: number; readonly alarms: readonly string[] }>;

/** A monitor with a memory of its own. */
function openMonitor({ url }: WatchedDirectory): Monitor {
  const homePath = mkdtempSync(join(tmpdir(), 'zos-monitor-'));
  return async () => {
    const ran = await zos({ homePath, directoryUrl: url }, '--json', 'record', 'audit');
    const { alarms } = JSON.parse(ran.out) as { alarms: readonly { readonly code: string }[] };
    return { code: ran.code, alarms: alarms.map(({ code }) => code) };
  };
}

async function published({ url }: WatchedDirectory, digest: string): Promise<void> {
  await vi.waitFor(
    async () => expect((await exchange({ url: `${url}/record/proof/${digest}` })).status).toBe(200),
    { timeout: 60_000 },
  );
}

function change(data: string, text: string, ...values: string[]): void {
  const database = new DatabaseSync(join(data, 'directory.sqlite'));
  const { changes } = database.prepare(text).run(...values);
  database.close();
  expect(changes).toBeGreaterThan(0);
}

test('envelopes that were changed or taken out of the books are alarms', async () => {
  await using directory = await openWatchedDirectory();
  const { submit } = await openTenancy(directory.url);
  const [first, second] = [await submit(), await submit()];
  await published(directory, second);
  expect(await openMonitor(directory)()).toEqual({ code: EXIT.done, alarms: [] });
  const other = `(SELECT envelope FROM record_entries WHERE digest = ?)`;
  await directory.restart((data) => {
    change(data, `UPDATE record_entries SET envelope = ${other} WHERE digest = ?`, second, first);
  });
  expect((await openMonitor(directory)()).alarms).toEqual(['ENVELOPE_OTHER']);
  await directory.restart((data) => {
    change(data, 'UPDATE record_entries SET envelope = NULL WHERE digest = ?', first);
  });
  expect(await openMonitor(directory)()).toEqual({
    code: EXIT.alarm,
    alarms: ['ENVELOPE_MISSING'],
  });
});

test('an old backup is an alarm to who saw more, and the witnesses let nothing grow on it', async () => {
  await using directory = await openWatchedDirectory();
  const { submit } = await openTenancy(directory.url);
  await published(directory, await submit());
  const backup = join(directory.folder, 'backup');
  await directory.restart((data) => cpSync(data, backup, { recursive: true }));
  await published(directory, await submit());
  const monitor = openMonitor(directory);
  expect(await monitor()).toEqual({ code: EXIT.done, alarms: [] });
  await directory.restart((data) => {
    rmSync(data, { recursive: true });
    cpSync(backup, data, { recursive: true });
  });
  expect(await monitor()).toEqual({ code: EXIT.alarm, alarms: ['HEAD_STALE'] });
  expect(await submit().then(() => 'recorded', codeOf)).toBe('RECORD_BEHIND');
});
