import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSelf } from '../../../src/node/bringup/identity.ts';
import { openCrashStore } from '../../../src/node/health/crash.ts';
import { fromBase64 } from '../../../src/lib/bytes.ts';
import { openMessage } from '../../../src/phonebook/message.ts';
import { startAgent, until } from '../../support/node/agent.ts';
import { GRID } from '../../support/contracts.ts';
import { openGrid, startApproved } from '../../support/node/grid.ts';

const CRASH = { words: 'sysrq triggered crash', log: '<6>[ 1.0] before\n<0>[ 1.1] the end\n' };

test('the last words of a kernel lie sealed on the disk, and a cut-off file is no words', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'zos-crash-'));
  const store = openCrashStore(folder, await openSelf(`${folder}/node`));
  expect(await store.read()).toBeUndefined();
  await store.keep(CRASH);
  const file = join(folder, 'crash.sealed');
  const text = await readFile(file, 'utf8');
  for (const shown of [text, String(Buffer.from(text, 'base64'))]) {
    expect(shown).not.toContain('sysrq');
  }
  expect(await store.read()).toEqual(CRASH);
  await writeFile(file, text.slice(0, 100));
  expect(await store.read()).toBeUndefined();
  await rm(folder, { recursive: true });
});

test('the farmer, and nobody else, reads how the kernel of a node ended, once', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  await using first = await startApproved({ directory, farmer });
  await first.stop();
  await openCrashStore(first.folder, first.self).keep(CRASH);
  await using second = await startAgent({ directory, farmer, before: first });
  await until(
    () => second.lines,
    (lines) => lines.some((line) => line.includes('sent the last words of the kernel')),
  );
  const nowMs = (): number => directory.clock.nowMs;
  const signing = { grid: GRID, signer: farmer.keys.signing, nowMs };
  const { items } = await directory.client.messages(signing, farmer.id);
  expect(items).toHaveLength(1);
  const sealed = fromBase64(items[0]?.sealed ?? '') ?? new Uint8Array();
  const reader = { grid: GRID, id: farmer.id, nowMs: nowMs() };
  const opened = openMessage(sealed, { ...reader, sealingSecret: farmer.keys.sealing.secretKey });
  expect(opened.from).toBe(first.self.identity.id);
  expect(opened.text).toBe(
    `The kernel of node ${opened.from} panicked: ${CRASH.words}\n` +
      `The end of its log:\n\n${CRASH.log}`,
  );
  const stranger = { ...reader, sealingSecret: tenant.keys.sealing.secretKey };
  expect(() => openMessage(sealed, stranger)).toThrow(/sealed to another key/u);
  expect(await openCrashStore(first.folder, first.self).read()).toBeUndefined();
});
