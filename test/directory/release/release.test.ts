import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { signRelease } from '../../../boot/release/metadata.ts';
import { checkRelease, tellDirectory } from '../../../boot/release/publication.ts';
import { signedBootAnswer, verifyBootAnswer } from '../../../src/artifact/release/answer.ts';
import { fetchBootAnswer } from '../../../src/artifact/release/fetch-answer.ts';
import type { MetadataFiles } from '../../../src/artifact/release/metadata.ts';
import type { GridFile } from '../../../src/artifact/spec.ts';
import { fetchBytes } from '../../../src/host/http.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { DAY_MS } from '../../../src/lib/units.ts';
import { GRID, NOW_MS } from '../../support/contracts.ts';
import { openDirectory, type TestDirectory } from '../../support/directory.ts';
import { makeRelease, type TestRelease } from '../../support/release/release.ts';

const NONCE = '0123456789abcdef'.repeat(2);

async function filesOf(release: TestRelease): Promise<MetadataFiles> {
  return (await checkRelease({ ...release, nowMs: NOW_MS })).files;
}

async function publishTo({ url }: TestDirectory, files: MetadataFiles): Promise<string> {
  return tellDirectory(url, files, undefined).then(
    () => 'taken',
    (error: unknown) => String(error),
  );
}

function gridOf({ url, own, record }: TestDirectory, more: readonly string[] = []): GridFile {
  const directory = { urls: [...more, url], identity: own.id };
  return { grid: GRID, directory, record: { policy: record.policy } };
}

async function ask(grid: GridFile) {
  const troubles: string[] = [];
  const answer = await fetchBootAnswer({
    grid,
    nonce: () => NONCE,
    onTrouble: (url, error) => troubles.push(`${url} ${codeOf(error)}`),
  });
  return { answer, troubles };
}

test('a machine that boots is told the time, and what not to go back to, signed for its nonce', async () => {
  await using release = await makeRelease(NOW_MS, GRID);
  await using directory = await openDirectory({ trustedRoot: release.root });
  expect((await ask(gridOf(directory))).answer).toEqual({
    grid: GRID,
    nonce: NONCE,
    timeMs: NOW_MS,
    lowest: null,
  });
  expect(await publishTo(directory, await filesOf(release))).toBe('taken');
  const { answer } = await ask(gridOf(directory));
  expect(answer?.lowest?.versions).toEqual({ root: 1, timestamp: 1, snapshot: 1, targets: 1 });
  expect(answer?.lowest?.rootSha256).toMatch(/^[0-9a-f]{64}$/u);
});

test('what it checked itself raises what it tells, and nothing brings that down again', async () => {
  await using release = await makeRelease(NOW_MS, GRID);
  await using directory = await openDirectory({ trustedRoot: release.root });
  const older = await filesOf(release);
  await writeFile(join(release.releasePath, 'vmlinuz'), 'another kernel');
  await signRelease({ ...release, nowMs: NOW_MS });
  const newer = await filesOf(release);
  expect(await publishTo(directory, newer)).toBe('taken');
  expect(await publishTo(directory, newer)).toBe('taken');
  expect(await publishTo(directory, older)).toContain('ROLLED_BACK');
  expect((await ask(gridOf(directory))).answer?.lowest?.versions.targets).toBe(2);
});

test('it takes no release of other keys, none past its expiry, and none that is changed', async () => {
  await using release = await makeRelease(NOW_MS, GRID);
  await using other = await makeRelease(NOW_MS, GRID);
  await using directory = await openDirectory({ trustedRoot: release.root });
  expect(await publishTo(directory, await filesOf(other))).toContain('UNTRUSTED');
  const good = await filesOf(release);
  const text = Buffer.from(good.targets).toString().replace('"version":1', '"version":2');
  const changed = { ...good, targets: new Uint8Array(Buffer.from(text)) };
  expect(await publishTo(directory, changed)).toContain('DIGEST_MISMATCH');
  directory.clock.nowMs = NOW_MS + 60 * DAY_MS;
  expect(await publishTo(directory, good)).toContain('EXPIRED');
  expect((await ask(gridOf(directory))).answer?.lowest).toBeNull();
});

test('a directory that was given no root of a release believes nobody about one', async () => {
  await using release = await makeRelease(NOW_MS, GRID);
  await using directory = await openDirectory();
  expect(await publishTo(directory, await filesOf(release))).toContain('RELEASE_UNKNOWN');
});

test('an answer of another directory, or to another question, is none', async () => {
  await using directory = await openDirectory();
  await using stranger = await openDirectory();
  const { urls } = gridOf(stranger).directory;
  const { answer, troubles } = await ask(gridOf(directory, [...urls, 'http://127.0.0.1:1']));
  expect(troubles.map((text) => text.split(' ')[1])).toEqual([
    'IDENTITY_MISMATCH',
    'HTTP_UNREACHABLE',
  ]);
  expect(answer?.nonce).toBe(NONCE);
  const url = `${directory.url}/v1/boot?nonce=${NONCE}`;
  const old = signedBootAnswer.parse(JSON.parse(Buffer.from(await fetchBytes({ url })).toString()));
  const asked = { grid: GRID, directory: directory.own.id, nonce: NONCE };
  expect(verifyBootAnswer(old, asked).timeMs).toBe(NOW_MS);
  const again = { ...asked, nonce: 'f'.repeat(32) };
  expect(() => verifyBootAnswer(old, again)).toThrow('answered another question');
});
