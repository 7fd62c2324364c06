import { mkdtempSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { payloadTypeOf } from '../../../src/identity/envelope.ts';
import { openRecordStore } from '../../../src/node/record/store.ts';
import { type Addressed, openWatch, type RecordWatch } from '../../../src/node/record/watch.ts';
import { NODE_ID, NOW_MS } from '../../support/contracts.ts';
import { History } from '../../support/hostile/history.ts';
import { policyOf, WITNESSES } from '../../support/record/signers.ts';

const folders: string[] = [];
afterAll(async () => {
  await Promise.all(folders.map(async (path) => rm(path, { recursive: true, force: true })));
});

async function open(folder = mkdtempSync(join(tmpdir(), 'zos-watch-'))) {
  folders.push(folder);
  const lines: string[] = [];
  const calms: string[] = [];
  const watch = await openWatch({
    policy: policyOf(2),
    store: await openRecordStore(folder),
    nowMs: () => NOW_MS,
    say: (text) => lines.push(text),
    onCalm: () => calms.push('calm'),
  });
  return { folder, watch, lines, calms };
}

let digests = 0;
function entryFor(seq: number): Addressed {
  digests += 1;
  const digest = digests.toString(16).padStart(64, '0');
  return { payloadType: payloadTypeOf('contract'), digest, to: { node: NODE_ID, seq } };
}

function grown(count: number, history = new History()): History {
  for (let at = 0; at < count; at += 1) {
    history.add({ payloadType: 'other', digest: `${at}`.padStart(64, '0') });
  }
  return history;
}

/** One heartbeat and its answer. */
async function beat(watch: RecordWatch, history: History): Promise<void> {
  const { size } = watch.name();
  await watch.follow(history.shown(size));
}

test('a head that grows is followed, and outlives a restart', async () => {
  const history = grown(3);
  const { folder, watch } = await open();
  expect(watch.seen()).toMatchObject({ size: 0, seq: 0, alarm: null });
  await beat(watch, history);
  await beat(watch, grown(5, history));
  expect(watch.seen()).toMatchObject({ size: 8, alarm: null });
  const again = await open(folder);
  expect(again.watch.seen()).toEqual(watch.seen());
  await beat(again.watch, grown(2, history));
  expect(again.watch.seen()).toMatchObject({ size: 10, alarm: null });
});

const HONEST = grown(6);
const FORKED = grown(4, grown(2).fork());
FORKED.add({ payloadType: 'other', digest: 'ff'.repeat(32) });
const LIES: readonly (readonly [string, string, { checkpoint: string; proof: string[] } | null])[] =
  [
    ['a shorter record', 'HEAD_STALE', { checkpoint: HONEST.checkpoint(4), proof: [] }],
    ['no record at all', 'HEAD_STALE', null],
    [
      'another record of the same length',
      'HEAD_FORKED',
      { checkpoint: twin().checkpoint(), proof: [] },
    ],
    ['a longer one that does not hold the first', 'CONSISTENCY_INVALID', FORKED.shown(6)],
    ['a head that too few saw', 'QUORUM_MISSING', few()],
    ['a head that nobody signed', 'NOTE_MALFORMED', { checkpoint: 'record\n', proof: [] }],
  ];

function twin(): History {
  const other = grown(5);
  other.add({ payloadType: 'other', digest: 'ee'.repeat(32) });
  return other;
}

function few(): { checkpoint: string; proof: string[] } {
  const next = grown(1, HONEST.fork());
  return { checkpoint: next.checkpoint(7, WITNESSES.slice(0, 1)), proof: next.growth(6) };
}

test.each(LIES)(
  'a heartbeat that is answered with %s raises the alarm %s until a good head comes',
  async (_what, code, shown) => {
    const { folder, watch, lines, calms } = await open();
    await beat(watch, HONEST);
    const before = watch.seen();
    watch.name();
    await watch.follow(shown);
    expect(watch.alarm()).toMatchObject({ code });
    expect(watch.seen()).toMatchObject({ size: before.size, root: before.root });
    expect(lines.at(-1)).toMatch(new RegExp(`^ALARM ${code}: .*Nothing new starts here`, 'u'));
    const evidence = (await readdir(folder)).filter((name) => name.startsWith('evidence-'));
    expect(evidence).toHaveLength(1);
    await beat(watch, grown(1, HONEST.fork()));
    expect(watch.alarm()).toBeNull();
    expect(calms).toEqual(['calm']);
    expect(await readdir(folder)).toEqual(expect.arrayContaining(evidence));
  },
);

test('entries for a node count without a gap, in any order, and a gap is an alarm', async () => {
  const history = new History();
  const entries = [1, 2, 3].map((seq) => entryFor(seq));
  for (const entry of entries) history.add(entry);
  const { watch } = await open();
  const place = (at: number): void => watch.place(entries[at] as Addressed, history.proof(at));
  place(0);
  await watch.close(true);
  expect(watch.seen()).toMatchObject({ seq: 1, alarm: null });
  place(2);
  await watch.close(false);
  expect(watch.alarm()).toBeNull();
  await watch.close(true);
  expect(watch.seen()).toMatchObject({ seq: 1, alarm: { code: 'ENTRY_WITHHELD' } });
  place(1);
  await watch.close(true);
  expect(watch.seen()).toMatchObject({ seq: 3, alarm: null });
});

test('an entry of another number, or of another head, is not counted', async () => {
  const history = new History();
  const entry = entryFor(1);
  history.add(entry);
  history.add(entryFor(2));
  const { watch } = await open();
  const proof = history.proof(0);
  const other = { ...entry, to: { ...entry.to, seq: 2 } };
  expect(() => watch.place(other, proof)).toThrow(/not proven to be in the tree/u);
  const alone = history.proof(0, 2, WITNESSES.slice(0, 1));
  expect(() => watch.place(entry, alone)).toThrow(/Too few witnesses/u);
  expect(watch.seen().seq).toBe(0);
});

test('a proof under a head of another history is noticed when heads are compared', async () => {
  const other = HONEST.fork();
  const entry = entryFor(1);
  other.add(entry);
  const honest = grown(2, HONEST.fork());
  const { watch } = await open();
  await beat(watch, honest);
  watch.place(entry, other.proof(6));
  await watch.settle(async (from, to) => honest.growth(from, to));
  expect(watch.alarm()).toMatchObject({ code: 'CONSISTENCY_INVALID' });
});

test('a proof under a newer head moves the head there, and under an older one nowhere', async () => {
  const history = grown(2);
  const entry = entryFor(1);
  history.add(entry);
  const { watch } = await open();
  watch.name();
  const first = history.shown(0);
  grown(4, history);
  watch.place(entry, history.proof(2));
  await watch.settle(async (from, to) => history.growth(from, to));
  expect(watch.seen()).toMatchObject({ size: 7, alarm: null });
  // The answer to a heartbeat from before: shorter than what was seen meanwhile, and no lie.
  await watch.follow(first);
  await watch.settle(async (from, to) => history.growth(from, to));
  expect(watch.seen()).toMatchObject({ size: 7, alarm: null });
});

test('a directory that answers and does not prove its heads is under alarm until it does', async () => {
  const history = grown(2);
  const { watch, calms } = await open();
  await beat(watch, history);
  const entry = entryFor(1);
  history.add(entry);
  watch.place(entry, history.proof(2));
  await watch.settle(async () => null);
  expect(watch.alarm()).toMatchObject({ code: 'HEADS_UNPROVEN' });
  await expect(
    watch.settle(async () => {
      throw new Error('nobody there');
    }),
  ).rejects.toThrow('nobody there');
  await watch.settle(async (from, to) => history.growth(from, to));
  expect(watch.seen()).toMatchObject({ size: 3, alarm: null });
  expect(calms).toEqual(['calm']);
});
