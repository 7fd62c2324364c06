import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EXIT } from '../../../src/bot/errors.ts';
import { signEnvelope } from '../../../src/identity/envelope.ts';
import { entryOf, formatEntry } from '../../../src/record/entry.ts';
import { utf8 } from '../../../src/lib/bytes.ts';
import { carry, makeContract, makePerson, NOW_MS, type Person } from '../../support/contracts.ts';
import { makeFarmer } from '../../support/identity/farm.ts';
import { type LyingDirectory, openLyingDirectory } from '../../support/watch/lying-directory.ts';
import { signerOf, WITNESSES } from '../../support/record/signers.ts';
import { type Ran, zos } from '../support/captured-terminal.ts';

type Story = {
  readonly directory: LyingDirectory;
  readonly tenant: Person;
  readonly node: Person;
  /** Looks again, from where the last look ended. */
  readonly audit: (...args: string[]) => Promise<Ran & { readonly alarms: readonly string[] }>;
  /** Puts a contract of its own on the record, and answers its id. */
  readonly addContract: () => string;
  readonly seenBy: (size: number, seq: number, changes?: object) => void;
};

/** A record with a farm, a tenant, a node and three contracts for it, which everybody saw. */
async function openStory(): Promise<Story> {
  const directory = await openLyingDirectory();
  onTestFinished(async () => directory[Symbol.asyncDispose]());
  const farmer = makeFarmer();
  const tenant = makePerson('tenant');
  const node = makePerson('node');
  directory.add(farmer.document);
  directory.add(farmer.farm);
  directory.add(tenant.document);
  directory.add(node.document);
  let seq = 0;
  const addContract = (): string => {
    seq += 1;
    const nonce = seq.toString(16).padStart(32, '0');
    const { contract } = carry(tenant, makeContract(tenant, { node: node.id, nonce }));
    return directory.add(contract, { node: node.id, seq });
  };
  for (let count = 0; count < 3; count += 1) addContract();
  directory.publish();
  let atMs = NOW_MS;
  const homePath = mkdtempSync(join(tmpdir(), 'zos-audit-'));
  const bench = { homePath, directoryUrl: directory.url };
  return {
    directory,
    tenant,
    node,
    addContract,
    audit: async (...args) => {
      const ran = await zos(bench, '--json', 'record', 'audit', ...args);
      const said = ran.out === '' ? { alarms: [] } : (JSON.parse(ran.out) as Said);
      return { ...ran, alarms: said.alarms.map(({ code }) => code) };
    },
    seenBy: (size, taken, changes = {}) => {
      atMs += 30_000;
      const root = directory.rootOf(size);
      directory.say(node, { size, root, seq: taken, alarm: null, ...changes }, atMs);
    },
  };
}

type Said = { readonly alarms: readonly { readonly code: string }[] };

test('an honest record holds, is read on from where it was left, and raises no alarm', async () => {
  const { directory, audit, node, seenBy } = await openStory();
  seenBy(7, 3);
  const first = await audit();
  expect(JSON.parse(first.out)).toMatchObject({ size: 7, added: 7, nodes: 1, alarms: [] });
  expect(first.code).toBe(EXIT.done);
  const again = [...directory.envelopes.values()].slice(-1);
  const numbers = Array.from({ length: 300 }, (_, at) => at + 4);
  for (const seq of numbers) directory.add(again[0] ?? node.document, { node: node.id, seq });
  directory.publish();
  seenBy(7, 3);
  // Nothing of before is asked for again.
  directory.lies.set('/record/tile/entries/000.p/7', { status: 500, body: '' });
  expect(JSON.parse((await audit()).out)).toMatchObject({ size: 307, added: 300, alarms: [] });
  expect(JSON.parse((await audit()).out)).toMatchObject({ size: 307, added: 0, alarms: [] });
});

test('a head that too few witnesses saw is an alarm', async () => {
  const { directory, audit } = await openStory();
  directory.publish(WITNESSES.slice(0, 1));
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['QUORUM_MISSING'] });
  directory.publish([signerOf('w1.example/witness', 99), signerOf('w9.example', 98)]);
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['QUORUM_MISSING'] });
});

test('a record that went back, or begins in another way, is an alarm', async () => {
  const { directory, audit, addContract } = await openStory();
  expect(await audit()).toMatchObject({ code: EXIT.done });
  const whole = [...directory.lines];
  directory.lines.pop();
  directory.publish();
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['HEAD_STALE'] });
  directory.lines.push(formatEntry(entryOf('a/b', utf8('other'))));
  directory.publish();
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['HEAD_FORKED'] });
  addContract();
  directory.publish();
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['HEAD_FORKED'] });
  directory.lines.splice(0, Infinity, ...whole);
  directory.publish();
  expect(await audit()).toMatchObject({ code: EXIT.done });
});

test('entries and tiles that are not those of the signed tree, or are not there, are an alarm', async () => {
  const { directory, audit } = await openStory();
  const [line = utf8('')] = directory.lines;
  const other = [...directory.lines.slice(1), line];
  const body = Buffer.concat(other.flatMap((it) => [Buffer.of(0, it.length), Buffer.from(it)]));
  directory.lies.set('/record/tile/entries/000.p/7', { status: 200, body });
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['ENTRIES_OTHER'] });
  directory.lies.set('/record/tile/entries/000.p/7', { status: 404, body: '' });
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['ENTRIES_MISSING'] });
  directory.lies.clear();
  directory.lies.set('/record/tile/0/000.p/7', { status: 200, body: Buffer.alloc(7 * 32) });
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['TILE_OTHER'] });
});

test('an envelope that is missing is an alarm until it is back', async () => {
  const { directory, audit, addContract } = await openStory();
  const digest = addContract();
  directory.publish();
  const envelope = directory.envelopes.get(digest);
  directory.envelopes.delete(digest);
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['ENVELOPE_MISSING'] });
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['ENVELOPE_MISSING'] });
  if (envelope !== undefined) directory.envelopes.set(digest, envelope);
  expect(await audit()).toMatchObject({ code: EXIT.done, alarms: [] });
});

test('an envelope that is another, or that nobody signed, is an alarm for good', async () => {
  const { directory, audit, addContract, tenant, node } = await openStory();
  const digest = addContract();
  const good = directory.envelopes.get(digest);
  const thief = makePerson('thief');
  const forged = carry(thief, makeContract(tenant, { node: node.id })).contract;
  directory.envelopes.set(digest, forged);
  directory.publish();
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['ENVELOPE_OTHER'] });
  if (good !== undefined) directory.envelopes.set(digest, good);
  directory.add(forged, { node: node.id, seq: 5 });
  directory.publish();
  expect((await audit()).alarms).toEqual(['ENVELOPE_OTHER', 'ENVELOPE_UNTRUSTED']);
});

test('what the directory measured is signed by it, and a kind that nobody knows is an alarm', async () => {
  const { directory, audit, node } = await openStory();
  const seen = { grid: 'test', node: node.id, atMs: NOW_MS };
  directory.add(signEnvelope('measurement', seen, directory.person.keys.signing));
  directory.publish();
  expect(await audit()).toMatchObject({ code: EXIT.done, alarms: [] });
  directory.add(signEnvelope('measurement', { ...seen, atMs: 1 }, node.keys.signing));
  directory.add(signEnvelope('question', seen, node.keys.signing));
  directory.publish();
  expect((await audit()).alarms).toEqual(['ENVELOPE_UNTRUSTED', 'KIND_UNKNOWN']);
});

test('a number for a node that is left out or stands twice is an alarm', async () => {
  const { directory, audit, tenant, node } = await openStory();
  for (const [seq, nonce] of [
    [5, 'a'],
    [5, 'b'],
    [6, 'c'],
  ] as const) {
    const changes = { node: node.id, nonce: nonce.repeat(32) };
    directory.add(carry(tenant, makeContract(tenant, changes)).contract, { node: node.id, seq });
  }
  directory.publish();
  expect((await audit()).alarms).toEqual(['SEQ_GAP', 'SEQ_GAP']);
});

test('an identity in the place of another is an alarm', async () => {
  const { directory, audit, node, tenant } = await openStory();
  const thief = makePerson('node');
  directory.envelopes.set(node.id, thief.document);
  expect((await audit()).alarms).toContain('ENVELOPE_OTHER');
  directory.say({ ...thief, id: tenant.id }, seen(directory, 7), NOW_MS);
  expect((await audit()).alarms).toContain('NODE_SWAPPED');
});

function seen(directory: LyingDirectory, size: number) {
  return { size, root: directory.rootOf(size), seq: 0, alarm: null };
}

test('a node that was shown another history, or a longer one, is an alarm', async () => {
  const { audit, seenBy, addContract } = await openStory();
  seenBy(5, 1, { root: Buffer.alloc(32, 7).toString('base64') });
  expect((await audit()).alarms).toEqual(['HEAD_FORKED']);
  seenBy(7, 3, { root: Buffer.alloc(32, 7).toString('base64') });
  expect((await audit()).alarms).toEqual(['HEAD_FORKED']);
  addContract();
  seenBy(8, 3);
  expect((await audit()).alarms).toEqual(['HEAD_STALE']);
  seenBy(7, 4);
  expect((await audit()).alarms).toEqual(['SEQ_AHEAD']);
  seenBy(7, 3, { alarm: { code: 'HEAD_FORKED', sentence: 'Two histories.' } });
  expect((await audit()).alarms).toEqual(['NODE_ALARM']);
});

test('a cancellation that is kept from its node shows within one heartbeat', async () => {
  const { directory, audit, seenBy, tenant, node } = await openStory();
  seenBy(7, 3);
  expect((await audit()).alarms).toEqual([]);
  const cancellation = signEnvelope(
    'cancellation',
    { grid: 'test', tenant: tenant.id, contract: 'ab'.repeat(32), atMs: NOW_MS },
    tenant.keys.signing,
  );
  directory.add(cancellation, { node: node.id, seq: 4 });
  directory.publish();
  // The node has seen the head that holds it, and may take it until it speaks again.
  seenBy(8, 3);
  expect((await audit()).alarms).toEqual([]);
  seenBy(8, 3);
  expect((await audit()).alarms).toEqual(['ENTRY_WITHHELD']);
  // The same word of the node does not clear it; a later one that has it does.
  expect((await audit()).alarms).toEqual(['ENTRY_WITHHELD']);
  seenBy(8, 4);
  expect((await audit()).alarms).toEqual([]);
});

test('a directory that does not answer is no alarm', async () => {
  const { directory, audit } = await openStory();
  directory.lies.set('/record/checkpoint', { status: 404, body: '{}' });
  expect(await audit()).toMatchObject({ code: EXIT.unreachable });
});

test('the policy of first use stays, whatever the directory says later', async () => {
  const { directory, audit } = await openStory();
  expect(await audit()).toMatchObject({ code: EXIT.done });
  directory.lies.set('/record/policy', { status: 200, body: 'quorum none\n' });
  directory.publish([]);
  expect(await audit()).toMatchObject({ code: EXIT.alarm, alarms: ['QUORUM_MISSING'] });
});
