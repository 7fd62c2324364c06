import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { EXIT } from '../../../src/bot/errors.ts';
import { openLyingDirectory } from '../../support/watch/lying-directory.ts';
import { makeFarmer } from '../../support/identity/farm.ts';
import { zos } from '../support/captured-terminal.ts';

test('who follows bears with a directory that is away, and is told at once of a fork', async () => {
  await using directory = await openLyingDirectory();
  const farmer = makeFarmer();
  directory.add(farmer.document);
  directory.add(farmer.farm);
  directory.publish();
  const homePath = mkdtempSync(join(tmpdir(), 'zos-audit-'));
  const bench = { homePath, directoryUrl: directory.url };
  const following = zos(bench, '--json', 'record', 'audit', '--follow');
  const asked = async (path: string, count: number): Promise<void> =>
    vi.waitFor(() => expect(directory.asked(path)).toBeGreaterThanOrEqual(count), {
      timeout: 60_000,
    });
  await asked('/record/checkpoint', 1);
  await asked('/record/tile/0/000.p/2', 1);
  directory.lies.set('/record/checkpoint', { status: 503, body: '' });
  await asked('/record/checkpoint', 3);
  directory.lies.clear();
  directory.lines.reverse();
  directory.publish();
  const { code, out, err } = await following;
  expect(code).toBe(EXIT.alarm);
  const said = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { alarms: object[] });
  expect(said.map(({ alarms }) => alarms)).toMatchObject([[], [{ code: 'HEAD_FORKED' }]]);
  expect(err).toContain('RECORD_UNSOUND');
});
