import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { verifySignedCancellation } from '../../src/contract/verify.ts';
import { readLetters } from '../../src/sdk/letters.ts';
import { GRID } from '../support/contracts.ts';
import { openLogKey } from '../../src/directory/keys.ts';
import { vkeyOf } from '../support/record/signers.ts';
import { startWitness } from '../support/record/witness-process.ts';
import { zos } from './support/captured-terminal.ts';
import { startDirectory } from './support/directory-process.ts';
import { type JoinFile, startNode } from './support/scripted-node.ts';

// Real processes on a machine that may be busy with others.
vi.setConfig({ testTimeout: 240_000 });

const ONE = `
name: hello
duration: 24h
containers:
  web:
    image: { sha256: ${'ab'.repeat(32)}, lengthBytes: 4096, sources: ['http://192.0.2.1/web'] }
    args: [/bin/web]
    cpu: 0.1
    memory: 16MiB
`;

test('zos cancel past a directory that does not answer leaves the word with the witnesses', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zos-silent-'));
  await using open = new AsyncDisposableStack();
  open.defer(() => rmSync(folder, { recursive: true }));
  const data = join(folder, 'directory');
  const log = vkeyOf(openLogKey(data, GRID), 'ed25519');
  const witness = open.use(await startWitness(join(folder, 'witness'), { logs: [log] }));
  const witnesses = [`${witness.vkey} ${witness.url}`];
  const directory = open.use(await startDirectory(data, { witnesses }));
  const bench = { homePath: join(folder, 'home'), directoryUrl: directory.url };
  const run = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await zos(bench, ...args);
    if (code !== 0) throw new Error(err);
    return out;
  };
  await run('identity', 'new', '--name', 'alice');
  await run('farm', 'create', 'attic');
  const [token] = JSON.parse(await run('farm', 'token', '--json')) as [JoinFile];
  const node = await startNode({ url: directory.url, join: token });
  const path = join(folder, 'hello.yaml');
  writeFileSync(path, ONE);
  await run('deploy', path);
  await node[Symbol.asyncDispose]();
  await directory.kill('SIGKILL');
  expect(await run('cancel', 'hello')).toMatch(/The directory does not answer\. The end of hello/u);
  const letters = await readLetters({ url: witness.url }, node.id);
  expect(letters.map((letter) => verifySignedCancellation(letter).node)).toEqual([node.id]);
  // What was never deployed from here can't be ended from here.
  expect(await zos(bench, 'cancel', 'other')).toMatchObject({ code: 5 });
});
