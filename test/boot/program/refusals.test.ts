import { expect, test } from 'vitest';
import { openConsole } from '../../../boot/program/console.ts';
import { ArtifactError, REFUSALS_MAX, refusalSchema } from '../../../src/artifact/spec.ts';
import { boot } from '../../support/release/boot.ts';
import { FAULTS, openMirror } from '../../support/release/mirror.ts';
import { makeRelease } from '../../support/release/release.ts';

test('each refusal is on the console and kept for the agent, with whose it was', async () => {
  await using release = await makeRelease(Date.now());
  await using bad = await openMirror(release.releasePath, { 'system.erofs': FAULTS.short });
  await using good = await openMirror(release.releasePath);
  const { lines, refusals, fetched } = await boot([bad.url, good.url], { root: release.root });
  expect(fetched?.mirror).toBe(good.url);
  expect(refusals).toEqual([
    {
      artifact: 'system.erofs',
      code: 'LENGTH_MISMATCH',
      sentence: expect.stringContaining(`${bad.url} has`),
      mirror: bad.url,
    },
  ]);
  expect(lines).toContain(
    `zos: boot refused system.erofs: LENGTH_MISMATCH ${refusals[0]?.sentence ?? ''}`,
  );
});

test('however many there are and whatever they say, what is kept is bounded and plain', () => {
  const lines: string[] = [];
  const console = openConsole(
    (line) => lines.push(line),
    () => 0,
  );
  for (let count = 1; count <= 2 * REFUSALS_MAX; count += 1) {
    const sentence = `\u001B[2J${count}\n${'x'.repeat(5000)}`;
    const error = new ArtifactError('UNTRUSTED', sentence);
    console.refused({ artifact: `file ${count}`, error, mirror: 'http://10.0.0.1' });
  }
  expect(console.refusals.length).toBe(REFUSALS_MAX);
  expect(console.refusals[0]?.artifact).toBe('file 1');
  expect(console.refusals.at(-1)?.artifact).toBe(`file ${2 * REFUSALS_MAX}`);
  for (const refusal of console.refusals) expect(refusalSchema.parse(refusal)).toEqual(refusal);
  expect(lines.join('')).not.toMatch(/\p{Cc}/u);
});

test('a debug release and a production machine refuse each other, by the keys alone', async () => {
  await using production = await makeRelease(Date.now());
  await using debug = await makeRelease(Date.now());
  await using productionMirror = await openMirror(production.releasePath);
  await using debugMirror = await openMirror(debug.releasePath);
  for (const [machine, mirror] of [
    [production, debugMirror],
    [debug, productionMirror],
  ] as const) {
    const { refusals, fetched } = await boot([mirror.url], machine);
    expect(fetched).toBeUndefined();
    expect(refusals).toMatchObject([{ artifact: 'metadata/timestamp.json', code: 'UNTRUSTED' }]);
  }
});
