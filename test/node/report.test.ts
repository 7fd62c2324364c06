import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { heartbeatSchema, receiptSchema } from '../../src/contract/receipt.ts';
import { type Envelope, parsePayload, untrustedPayload } from '../../src/identity/envelope.ts';
import { openReporter } from '../../src/node/report.ts';
import type { Statement } from '../../src/node/status.ts';
import { GRID, makePerson, NOW_MS } from '../support/contracts.ts';

const ID = 'ab'.repeat(32);

function statement(changes: Partial<Statement> = {}): Statement {
  const none = { workloads: [], znetEnds: [] };
  return { contract: ID, version: 1, digest: ID, state: 'accepted', ...none, ...changes };
}

function fetching(because: string): Statement {
  return statement({
    workloads: [{ kind: 'container', name: 'web', state: 'waiting', because }],
  });
}

const LIFE = {
  bootId: 'boot',
  uptimeMs: 1,
  memory: { totalBytes: 1, availableBytes: 1 },
  system: null,
  addresses: [],
  stages: [],
  keyKept: 'memory' as const,
  agentStarts: 1,
};

/** A reporter over a directory that fails as told, with a clock that only sleeping moves. */
function open(failures: (Error | undefined)[] = []) {
  const node = makePerson('node');
  const clock = { nowMs: NOW_MS };
  const sent: string[] = [];
  const seqs: number[] = [];
  const naps: number[] = [];
  let last = 0;
  const note = async (envelope: Envelope): Promise<void> => {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    const receipt = parsePayload(untrustedPayload(envelope, 'receipt'), receiptSchema);
    seqs.push(receipt.seq);
    const words = receipt.workloads.map(({ because }) => because);
    sent.push([receipt.state, receipt.version, ...words].join(' '));
  };
  const ending = new AbortController();
  const beats: Envelope[] = [];
  const hurries: (() => void)[] = [];
  const reporter = openReporter({
    grid: GRID,
    node: node.id,
    signer: node.keys.signing,
    sending: {
      receipt: note,
      heartbeat: async (envelope) => {
        beats.push(envelope);
      },
      isFinal: (error) => error instanceof TypeError,
    },
    nextSeq: async (nowMs) => {
      last = Math.max(last + 1, nowMs);
      return last;
    },
    clock: () => clock.nowMs,
    chance: () => 0,
    sleep: async (ms, signal) => {
      await setImmediate();
      if (signal.aborted) return;
      if (ms === 30_000) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      } else {
        naps.push(ms);
        clock.nowMs += ms;
      }
    },
    life: async () => LIFE,
    onUrgent: (hurry) => hurries.push(hurry),
    onTold: async () => undefined,
    onTrouble: () => undefined,
  });
  const running = reporter.run(ending.signal);
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 40; turn += 1) await setImmediate();
  };
  const close = async (): Promise<void> => {
    ending.abort();
    await running;
  };
  return { reporter, sent, seqs, naps, beats, hurries, clock, settle, close };
}

test('only what differs from the last word is sent, each with a higher number', async () => {
  const { reporter, sent, seqs, settle, close } = open();
  for (const state of ['accepted', 'accepted', 'running', 'running', 'ended'] as const) {
    reporter.say([statement({ state })]);
    await settle();
  }
  await close();
  expect(sent).toEqual(['accepted 1', 'running 1', 'ended 1']);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  expect(new Set(seqs).size).toBe(3);
});

test('what the directory did not take is sent again, and only the latest of it', async () => {
  const down = new Error('down');
  const { reporter, sent, naps, settle, close } = open([down, down]);
  reporter.say([statement({ state: 'accepted' })]);
  reporter.say([statement({ state: 'running' })]);
  await settle();
  await close();
  expect(sent).toEqual(['running 1']);
  expect(naps).toEqual([500, 1000]);
});

test('what the directory refuses for good is not sent again', async () => {
  const { reporter, sent, settle, close } = open([new TypeError('no such contract')]);
  reporter.say([statement()]);
  await settle();
  reporter.say([statement()]);
  await settle();
  reporter.say([statement({ state: 'running' })]);
  await settle();
  await close();
  expect(sent).toEqual(['running 1']);
});

test('progress is told once a second, a new state at once', async () => {
  const { reporter, sent, naps, settle, close } = open();
  reporter.say([fetching('1 of 9 MB')]);
  await settle();
  reporter.say([fetching('2 of 9 MB')]);
  reporter.say([fetching('3 of 9 MB')]);
  await settle();
  expect(naps).toContain(1000);
  expect(sent).toEqual(['accepted 1 1 of 9 MB', 'accepted 1 3 of 9 MB']);
  reporter.say([statement({ state: 'running' })]);
  await settle();
  await close();
  expect(sent).toEqual(['accepted 1 1 of 9 MB', 'accepted 1 3 of 9 MB', 'running 1']);
});

test('a refused version is told beside the one that is held', async () => {
  const { reporter, sent, settle, close } = open();
  const refusal = { code: 'NO_ROOM', sentence: 'It asks for more.' };
  reporter.say([
    statement({ state: 'refused', version: 2, refusal }),
    statement({ state: 'running' }),
  ]);
  await settle();
  await close();
  expect(sent).toEqual(['refused 2', 'running 1']);
});

test('a heartbeat goes out at once', async () => {
  const { beats, settle, close } = open();
  await settle();
  await close();
  const [beat] = beats;
  if (beat === undefined) throw new Error('There was no heartbeat.');
  const payload = parsePayload(untrustedPayload(beat, 'heartbeat'), heartbeatSchema);
  expect(payload).toMatchObject({ grid: GRID, bootId: 'boot', keyKept: 'memory' });
});

test('a sign of life that hurries waits for no turn, and a crowd of them makes one more', async () => {
  const { beats, hurries, naps, settle, close } = open();
  await settle();
  expect(beats).toHaveLength(1);
  for (let count = 0; count < 5; count += 1) hurries[0]?.();
  await settle();
  await close();
  expect(beats).toHaveLength(2);
  expect(naps).toEqual([3000]);
});
