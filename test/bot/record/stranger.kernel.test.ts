import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { EXIT } from '../../../src/bot/errors.ts';
import { exchange } from '../../../src/host/http.ts';
import { toBase64, utf8 } from '../../../src/lib/bytes.ts';
import { carry, makeContract, makePerson, NODE_ID } from '../../support/contracts.ts';
import { type LyingDirectory, openLyingDirectory } from '../../support/watch/lying-directory.ts';
import { policyTextOf, signerOf, WITNESSES } from '../../support/record/signers.ts';
import { openTenancy, openWatchedDirectory } from '../../support/watch/watched-directory.ts';
import { zos } from '../support/captured-terminal.ts';

const SCRIPT = 'src/bot/examples/stranger.sh';

type Said = { readonly code: number; readonly out: string; readonly err: string };

/** Runs the script as a stranger would, with nothing in its way but a shell and its tools. */
async function stranger(url: string, digest: string, policy: string): Promise<Said> {
  const path = join(mkdtempSync(join(tmpdir(), 'zos-stranger-')), 'policy.txt');
  writeFileSync(path, policy);
  const child = spawn('sh', [SCRIPT, url, digest, path], { env: { PATH: '/usr/bin:/bin' } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => (out += String(text)));
  child.stderr.on('data', (text) => (err += String(text)));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

test('with curl, sha256sum and openssl alone, a stranger follows a contract to its witnesses', async () => {
  await using directory = await openWatchedDirectory();
  const { url, policy, witnesses } = directory;
  const { submit, tenant, node } = await openTenancy(url);
  const ids = [await submit(), await submit(), await submit()];
  const [id = ''] = ids;
  await vi.waitFor(
    async () => {
      const proofs = ids.map(async (each) => exchange({ url: `${url}/record/proof/${each}` }));
      const statuses = (await Promise.all(proofs)).map(({ status }) => status);
      expect(statuses).toEqual([200, 200, 200]);
    },
    { timeout: 60_000 },
  );
  const { code, out, err } = await stranger(url, id, policy);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain(`1. The payload of the envelope has the hash ${id}.`);
  expect(out).toContain(`2. Its tenant ${tenant.id} signed it.`);
  expect(out).toContain(` ${id} ${node.id} 1\n`);
  expect(out).toContain('5. test.zos/record signed it.');
  expect(out.match(/^6\. w[123]\.example saw it at /gmu)?.length).toBeGreaterThanOrEqual(2);
  expect(out).toContain('Everything holds');

  // Our own tools say the same of the same record.
  const bench = { homePath: mkdtempSync(join(tmpdir(), 'zos-home-')), directoryUrl: url };
  const shown = await zos(bench, '--json', 'record', 'show', id);
  expect(JSON.parse(shown.out)).toMatchObject({ digest: id, node: node.id, seq: 1 });
  const proof = await exchange({ url: `${url}/record/proof/${id}` });
  const proofPath = join(bench.homePath, 'a.tlog-proof');
  writeFileSync(proofPath, proof.body);
  expect((await zos(bench, 'record', 'verify', proofPath)).out).toContain(id);
  const audited = await zos(bench, '--json', 'record', 'audit');
  expect(audited).toMatchObject({ code: EXIT.done, err: '' });
  const { size, alarms } = JSON.parse(audited.out) as { size: number; alarms: unknown[] };
  expect({ isWhole: size >= 7, alarms }).toEqual({ isWhole: true, alarms: [] });

  // Without enough witnesses nothing new is published, and what was is still proven.
  await witnesses[0]?.kill('SIGKILL');
  await witnesses[1]?.kill('SIGKILL');
  expect((await stranger(url, id, policy)).code).toBe(0);
});

/** A directory of the test's own with five contracts, and the last one's id. */
async function openOwn(): Promise<{ directory: LyingDirectory; id: string }> {
  const directory = await openLyingDirectory();
  onTestFinished(async () => directory[Symbol.asyncDispose]());
  const tenant = makePerson('tenant');
  directory.add(tenant.document);
  let id = '';
  for (let seq = 1; seq <= 5; seq += 1) {
    const contract = makeContract(tenant, { nonce: String(seq).repeat(32) });
    id = directory.add(carry(tenant, contract).contract, { node: NODE_ID, seq });
  }
  directory.publish();
  return { directory, id };
}

type Lie = { readonly directory: LyingDirectory; readonly id: string };
type Row = readonly [string, (lie: Lie) => Promise<void> | void, RegExp];

async function proofOf({ directory, id }: Lie): Promise<string> {
  const { body } = await exchange({ url: `${directory.url}/record/proof/${id}` });
  return Buffer.from(body).toString();
}

/** Serves the proof with something of it replaced. */
async function bend(lie: Lie, from: string | RegExp, to: string): Promise<void> {
  const body = (await proofOf(lie)).replace(from, to);
  lie.directory.lies.set(`/record/proof/${lie.id}`, { status: 200, body });
}

const OTHER = makePerson('thief');
const LIES: readonly Row[] = [
  [
    'another envelope',
    ({ directory, id }) => {
      directory.envelopes.set(id, carry(OTHER, makeContract(OTHER)).contract);
    },
    /holds something else/u,
  ],
  [
    'a signature of somebody else',
    ({ directory, id }) => {
      const good = directory.envelopes.get(id);
      const { signatures } = carry(OTHER, makeContract(OTHER)).contract;
      if (good !== undefined) directory.envelopes.set(id, { ...good, signatures });
    },
    /did not sign it/u,
  ],
  [
    'another place',
    (lie) => bend(lie, /^index 5$/mu, 'index 4'),
    /another root|too (?:long|short)/u,
  ],
  ['no way up', (lie) => bend(lie, /^index 5\n[^\n]+\n/mu, 'index 5\n'), /too short|another root/u],
  [
    'the entry of another',
    (lie) => bend(lie, /^extra .*$/mu, `extra ${toBase64(utf8(`a/b ${lie.id}\n`))}`),
    /of another entry/u,
  ],
  ['another size', (lie) => bend(lie, /^6$/mu, '7'), /another root|too|does not hold/u],
  [
    'a log that nobody named',
    (lie) => bend(lie, /^directory\.example/mu, 'other'),
    /has not signed|did not sign/u,
  ],
  [
    'one witness of the two that are needed',
    ({ directory }) => directory.publish(WITNESSES.slice(0, 1)),
    /too few witnesses/u,
  ],
  [
    'strangers in the names of witnesses',
    ({ directory }) => directory.publish(WITNESSES.map(({ name }, at) => signerOf(name, 90 + at))),
    /too few witnesses/u,
  ],
  ['nothing', ({ directory }) => directory.envelopes.clear(), /the directory has no/u],
];

test.each(LIES)('a directory that serves %s does not deceive the stranger', async (_, lie, why) => {
  const own = await openOwn();
  const policy = policyTextOf(2);
  expect((await stranger(own.directory.url, own.id, policy)).code).toBe(0);
  await lie(own);
  const { code, err } = await stranger(own.directory.url, own.id, policy);
  expect(code).toBe(1);
  expect(err).toMatch(why);
});
