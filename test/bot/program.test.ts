import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256Hex } from '../../src/lib/bytes.ts';
import { zos } from './support/captured-terminal.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zos-bot-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function home(): { homePath: string } {
  return { homePath: join(folder, 'home') };
}

test.each([
  ['help', ['--help']],
  ['help-deploy', ['deploy', '--help']],
  ['help-farm-token', ['farm', 'token', '--help']],
  ['help-farm-updates', ['farm', 'updates', '--help']],
  ['help-farm-rollout', ['farm', 'rollout', 'resume', '--help']],
  ['help-logs', ['logs', '--help']],
  ['help-identity-new', ['identity', 'new', '--help']],
  ['help-identity-device', ['identity', 'device', '--help']],
  ['help-identity-recover', ['identity', 'recover', '--help']],
  ['help-identity-undo', ['identity', 'undo', '--help']],
  ['help-team', ['team', '--help']],
  ['help-sign', ['sign', '--help']],
])('%s teaches', async (name, args) => {
  const ran = await zos(home(), ...args);
  expect(ran).toMatchObject({ code: 0, err: '' });
  await expect(ran.out).toMatchFileSnapshot(`../golden/bot/${name}.txt`);
});

test.each([
  ['a mistyped command', ['deplyo', 'a'], /unknown command 'deplyo'[^]*Did you mean deploy\?/],
  ['no file', ['deploy'], /zos: missing required argument 'file'/],
  ['an unknown option', ['nodes', '--jsn'], /unknown option '--jsn'[^]*Did you mean --json\?/],
  ['a bad count', ['farm', 'token', '--count', 'many'], /a whole number from 1 to 1000/],
  ['logs of no container', ['logs', 'hello'], /zos: Write the deployment and the container/],
  ['a file that is not there', ['deploy', 'none.yaml'], /zos: none\.yaml can't be read/],
  ['no identity', ['nodes', '--directory', 'x'], /zos: /],
])('%s is told with status 2', async (_name, args, expected) => {
  const ran = await zos(home(), ...args);
  expect(ran.err).toMatch(expected);
  expect(ran.code).toBe(2);
  expect(ran.out).toBe('');
});

test('an identity is made once, and its keys are for this user only', async () => {
  const made = await zos(home(), 'identity', 'new', '--name', 'alice', '--json');
  expect(made.code).toBe(0);
  const { id } = JSON.parse(made.out) as { id: string };
  expect(statSync(join(folder, 'home')).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, 'home', 'key.json')).mode & 0o777).toBe(0o600);
  const before = readFileSync(join(folder, 'home', 'key.json'), 'utf8');
  expect(await zos(home(), 'identity', 'new')).toMatchObject({
    code: 2,
    err: expect.stringMatching(
      /^zos: There is an identity in .* already, and it is not overwritten/,
    ),
  });
  expect(readFileSync(join(folder, 'home', 'key.json'), 'utf8')).toBe(before);
  expect((await zos(home(), 'identity', 'show')).out).toBe(`Name:  alice\nId:    ${id}\n`);
});

test('a damaged key file is told without a word of what it holds', async () => {
  await zos(home(), 'identity', 'new');
  const path = join(folder, 'home', 'key.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"signingSeed":"', '"signingSeed":"!'));
  const ran = await zos(home(), 'identity', 'show');
  expect(ran).toMatchObject({ out: '', err: expect.stringContaining('key file is damaged') });
  expect(ran.err).not.toMatch(/[A-Za-z0-9+/]{30}/);
  expect(ran.code).toBeGreaterThan(0);
});

test('errors are JSON for programs that asked for JSON', async () => {
  const ran = await zos(home(), '--json', 'identity', 'show');
  expect(JSON.parse(ran.err)).toEqual({
    error: { code: 'IDENTITY_MISSING', sentence: expect.stringContaining('zos identity new') },
  });
});

test('colours are for terminals only', async () => {
  const plain = await zos(home(), 'identity', 'show');
  const coloured = await zos({ ...home(), hasColour: true }, 'identity', 'show');
  expect(plain.err).not.toContain('\u001B');
  expect(coloured.err).toContain('\u001B[31mzos:\u001B[0m');
});

test('an image is named by its hash and length; what is no EROFS image is refused', async () => {
  const image = Buffer.alloc(8192, 1);
  image.writeUInt32LE(0xe0f5e1e2, 1024);
  const path = join(folder, 'web.erofs');
  writeFileSync(path, image);
  const ran = await zos(home(), 'image', path, '--url', 'http://192.0.2.1/web.erofs');
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toBe(
    `image:\n  sha256: "${sha256Hex(image)}"\n  lengthBytes: 8192\n` +
      '  sources:\n    - http://192.0.2.1/web.erofs\n',
  );
  writeFileSync(path, Buffer.alloc(8192, 1));
  expect(await zos(home(), 'image', path)).toMatchObject({
    code: 2,
    err: expect.stringContaining('is not an EROFS image'),
  });
});

test('the schema that is printed is the published one', async () => {
  const { out } = await zos(home(), 'schema');
  expect(JSON.parse(out)).toEqual(
    JSON.parse(readFileSync('src/bot/deployment.schema.json', 'utf8')),
  );
});
