import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { erasureBy, tenant, withSecret } from '../../support/contract/secret.ts';
import { joinNode, openDirectory } from '../../support/directory.ts';
import { makeFarmer } from '../../support/identity/farm.ts';

/** Every file of the directory that holds a text. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .filter((entry) => readText(join(entry.parentPath, entry.name)).includes(text))
    .map(({ name }) => name);
}

/** The record is being published meanwhile: a part of it may have its last name by now. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (path.endsWith('.part') && !existsSync(path)) return '';
    throw error;
  }
}

test('what was erased is in no file of the directory any more', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-erasure-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const directory = await openDirectory({ folder });
  const node = await joinNode(directory, makeFarmer());
  const { id, carried, body } = withSecret(node);
  await directory.client.submitContract({ ...carried, body: body.text });
  // What is written goes into the journal beside the database first.
  expect(filesWith(folder, body.text).length).toBeGreaterThan(0);
  await directory.client.eraseBody(erasureBy(tenant, id, body.digest));
  await directory.settled();
  await directory[Symbol.asyncDispose]();
  expect(filesWith(folder, 'CREATE TABLE')).toEqual(['directory.sqlite']);
  expect(filesWith(folder, body.text)).toEqual([]);
});
