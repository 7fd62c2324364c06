import { expect, test } from 'vitest';
import { HttpError } from '../../../src/host/http.ts';
import { openDirectory } from '../../../src/node/bringup/directory.ts';
import { watchReach } from '../../../src/node/health/reach.ts';
import { openTroubles } from '../../../src/node/health/troubles.ts';
import { type Client, DirectoryError } from '../../../src/sdk/index.ts';

const { client } = { client: {} as Client };

test('a directory, and DNS, are missed after a minute, and not after a word of theirs', async () => {
  let nowMs = 0;
  const steady = (): number => nowMs;
  const troubles = openTroubles({ steady, say: () => undefined });
  const directory = openDirectory(
    [{ url: 'http://grid.example', client }],
    watchReach({ troubles, steady }),
  );
  const codes = (): string[] => troubles.list(nowMs).map(({ code }) => code);
  const call = async (failure: Error | null, atMs: number): Promise<string[]> => {
    nowMs = atMs;
    const work = async (): Promise<void> => {
      if (failure !== null) throw failure;
    };
    await directory.call(work).catch(() => undefined);
    return codes();
  };
  const nameless = new HttpError('HTTP_NO_NAME', 'No DNS server answers for grid.example.');
  const silent = new HttpError('HTTP_TOO_SLOW', 'http://grid.example did not answer in time.');
  const refused = new DirectoryError('REFUSED', 'Another day.');
  expect(await call(nameless, 0)).toEqual([]);
  expect(await call(nameless, 59_000)).toEqual([]);
  expect(await call(nameless, 60_000)).toEqual(['DNS_DEAD', 'DIRECTORY_SILENT']);
  expect(troubles.list(nowMs)[1]?.sentence).toBe(
    'No DNS server answers for grid.example. What was signed before goes on, and nothing new ' +
      'starts.',
  );
  expect(await call(silent, 61_000)).toEqual(['DIRECTORY_SILENT']);
  expect(await call(refused, 62_000)).toEqual([]);
  expect(await call(silent, 63_000)).toEqual([]);
  expect(await call(silent, 124_000)).toEqual(['DIRECTORY_SILENT']);
  expect(await call(null, 125_000)).toEqual([]);
});
