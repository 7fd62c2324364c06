import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HOUR_MS } from '../../../src/lib/units.ts';
import { type Bench, type Ran, zos } from '../support/captured-terminal.ts';
import { startDirectory } from '../support/directory-process.ts';
import { type JoinFile, startNode } from '../support/scripted-node.ts';

const SHA = 'ab'.repeat(32);
const IMAGE = `{ sha256: "${SHA}", lengthBytes: 8192, sources: ['http://192.0.2.1/a'] }`;
const VAULT = `name: vault
duration: 24h
secrets:
  key: { file: key.pem }
  token: { environment: API_TOKEN }
containers:
  web: { image: ${IMAGE}, args: [/bin/web], secrets: [key], secretEnv: { TOKEN: token } }
  bare: { image: ${IMAGE}, args: [/bin/bare] }
`;
const FILE_MARK = 'mark-of-the-file-5c1f';
const TOKEN_MARK = 'mark-of-the-token-88b2';
const MARKS = [FILE_MARK, TOKEN_MARK];

const folder = mkdtempSync(join(tmpdir(), 'zos-secrets-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function done(run: Promise<Ran>): Promise<Ran> {
  const ran = await run;
  if (ran.code !== 0) throw new Error(ran.err);
  return ran;
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Every file below a folder that holds one of the secrets, in plain or in base64. */
function filesWithMark(path: string): string[] {
  const forms = MARKS.flatMap((mark) => [mark, Buffer.from(mark).toString('base64').slice(0, 20)]);
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => forms.some((form) => textOf(file).includes(form)));
}

/** Of a file that went between being listed and being read, nothing. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

type Status = { contracts: { version: number; state: string; notAfterMs: number }[] };

test('secrets go from file and environment to their node, and are seen nowhere between', async () => {
  await using directory = await startDirectory(join(folder, 'directory'));
  const bench: Bench = {
    homePath: join(folder, 'home'),
    directoryUrl: directory.url,
    environment: { API_TOKEN: TOKEN_MARK },
  };
  const said: Ran[] = [];
  const run = async (...args: string[]): Promise<string> => {
    const ran = await done(zos(bench, ...args));
    said.push(ran);
    return ran.out;
  };
  await run('identity', 'new');
  await run('farm', 'create', 'attic');
  const [join_] = JSON.parse(await run('farm', 'token', '--json')) as [JoinFile];
  await using node = await startNode({ url: directory.url, join: join_ });
  const key = write('key.pem', FILE_MARK);
  const file = write('vault.yaml', VAULT);
  await run('deploy', file, '--dry-run', '--json');
  await run('deploy', file, '--json');
  expect(Object.fromEntries(node.secrets())).toEqual({
    'web/key': FILE_MARK,
    'web/token': TOKEN_MARK,
  });
  const first = JSON.parse(await run('status', 'vault', '--json')) as unknown;
  // Renewed without the secrets at hand; the directory hands on the body that it keeps.
  rmSync(key);
  await run('renew', 'vault', '--for', '48h');
  const renewed = JSON.parse(await run('status', 'vault', '--json')) as Status;
  const [contract] = renewed.contracts;
  expect(contract).toMatchObject({ version: 2, state: 'running' });
  expect((contract?.notAfterMs ?? 0) - Date.now()).toBeGreaterThan(47 * HOUR_MS);
  expect(node.secrets().size).toBe(2);
  // The same again: another body with the same boxes in it.
  write('key.pem', FILE_MARK);
  await run('deploy', file);
  // Nobody agrees to another price in passing.
  await node.askFor({ computeHourMicros: 9, storageHourMicros: 0, networkMicros: 0 });
  const dearer = await zos(bench, 'renew', 'vault', '--for', '48h', '--json');
  // How far it got may stand before it, on a machine that is slow.
  const refusal = JSON.parse(dearer.err.trim().split('\n').at(-1) ?? '') as unknown;
  expect(refusal).toMatchObject({ error: { code: 'PRICE_CHANGED' } });
  await run('cancel', 'vault');
  expect(said.at(-1)?.err).toContain('secrets erased');
  expect(JSON.stringify([first, said])).not.toMatch(new RegExp(MARKS.join('|'), 'u'));
  rmSync(key);
  expect(filesWithMark(folder)).toEqual([]);
});

test.each([
  [
    'a file that is not there',
    { API_TOKEN: 'x' },
    undefined,
    /secret key .* key\.pem, which can't be read/u,
  ],
  ['a variable that is not set', {}, 'x', /secret token .* API_TOKEN, which is not set/u],
  ['a value of no bytes', { API_TOKEN: '' }, 'x', /secret token has 0 bytes/u],
  ['a value too long', { API_TOKEN: 'x' }, 'x'.repeat(20_000), /secret key has 20000 bytes/u],
  ['a variable that is no text', { API_TOKEN: `${TOKEN_MARK}\0` }, 'x', /secret token is no text/u],
] as [string, Record<string, string>, string | undefined, RegExp][])(
  '%s is said by the name of the secret, and nothing is sent',
  async (...[, environment, content, sentence]) => {
    const here = mkdtempSync(join(folder, 'bad-'));
    if (content !== undefined) writeFileSync(join(here, 'key.pem'), content);
    writeFileSync(join(here, 'vault.yaml'), VAULT);
    const bench = { homePath: join(here, 'home'), directoryUrl: 'http://127.0.0.1:1', environment };
    const ran = await zos(bench, 'deploy', join(here, 'vault.yaml'), '--json');
    expect(ran.code).toBe(2);
    expect(JSON.parse(ran.err)).toMatchObject({ error: { code: 'SECRET_UNREADABLE' } });
    expect(ran.err).toMatch(sentence);
    expect(ran.err).not.toContain(TOKEN_MARK);
  },
);
