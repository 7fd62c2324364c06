import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { codeOf } from '../../../src/lib/errors.ts';
import { openDirectory, signingOf } from '../../support/directory.ts';
import { joinOnce, openIn, openSetting, submit } from '../../support/record/setting.ts';

test('a directory goes on where it was, and its nodes’ numbers with it', async () => {
  const setting = await openSetting();
  const node = await joinOnce(async () => openIn(setting));
  let size = 0;
  for (const round of [1, 2, 3]) {
    await using directory = await openIn(setting);
    await submit(directory, node);
    await directory.settled();
    const published = await directory.record.published();
    expect(published.size).toBeGreaterThan(size);
    size = published.size;
    const wants = await directory.client.wants(signingOf(node, directory.clock));
    expect(wants?.contracts.at(-1)?.seq).toBe(round);
  }
});

test('a directory from an old backup says so and writes nothing, and can still be read', async () => {
  const setting = await openSetting();
  const backup = `${setting.folder}.backup`;
  const node = await joinOnce(async () => openIn(setting));
  cpSync(setting.folder, backup, { recursive: true });
  onTestFinished(() => rmSync(backup, { recursive: true }));
  {
    await using directory = await openIn(setting);
    await submit(directory, node);
    await directory.settled();
  }
  await using old = await openIn({ ...setting, folder: backup });
  const refusal = await submit(old, node).catch((error: unknown) => codeOf(error));
  expect(refusal).toBe('RECORD_BEHIND');
  expect((await old.client.nodes()).items).toHaveLength(1);
});

test('without a witness, tiles that are newer than the database tell that it is an old copy', async () => {
  const { folder } = await openSetting();
  const backup = `${folder}.backup`;
  const node = await joinOnce(async () => openDirectory({ folder }));
  cpSync(folder, backup, { recursive: true });
  onTestFinished(() => rmSync(backup, { recursive: true }));
  {
    await using directory = await openDirectory({ folder });
    await submit(directory, node);
    await directory.settled();
  }
  cpSync(join(folder, 'record'), join(backup, 'record'), { recursive: true });
  await using old = await openDirectory({ folder: backup });
  await expect
    .poll(async () => submit(old, node).catch((error: unknown) => codeOf(error)))
    .toBe('RECORD_BEHIND');
});

test('of two directories that run on copies of one database, one at the most goes on', async () => {
  const setting = await openSetting();
  const copy = `${setting.folder}.copy`;
  const node = await joinOnce(async () => openIn(setting));
  cpSync(setting.folder, copy, { recursive: true });
  onTestFinished(() => rmSync(copy, { recursive: true }));
  await using one = await openIn(setting);
  await using other = await openIn({ ...setting, folder: copy });
  await submit(one, node);
  await one.settled();
  // The other may take what it can't know better; nobody ever sees it.
  await submit(other, node).catch(() => undefined);
  await expect
    .poll(async () => submit(other, node).catch((error: unknown) => codeOf(error)), {
      timeout: 60_000,
    })
    .toBe('RECORD_FORKED');
  const wants = await other.store.wants(node.id, other.clock.nowMs);
  expect(wants?.contracts).toEqual([]);
  await submit(one, node);
  await one.settled();
});

test('a database that was begun with another key is not written on', async () => {
  const setting = await openSetting();
  {
    await using directory = await openIn(setting);
    await directory.settled();
  }
  rmSync(join(setting.folder, 'log.key'));
  const refusal = await openDirectory({ folder: setting.folder }).catch((error: unknown) =>
    codeOf(error),
  );
  expect(refusal).toBe('KEYS_OTHER');
});
