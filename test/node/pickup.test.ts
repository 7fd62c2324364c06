import { expect, test } from 'vitest';
import type { Wants } from '../../src/contract/wants.ts';
import { type Feed, pickUp } from '../../src/node/pickup.ts';
import { DirectoryError } from '../../src/sdk/index.ts';

function wantsOf(revision: number): Wants {
  return { revision, contracts: [], cancellations: [], peers: [], questions: [] };
}

type Play = {
  readonly told: string[];
  /** What each feed does, in order; after the last the test is over. */
  readonly feeds: readonly (readonly (number | Error)[])[];
  readonly polls?: readonly (number | null | Error)[];
  readonly broken?: ReadonlySet<number>;
};

async function play({ told, feeds, polls = [], broken = new Set() }: Play): Promise<void> {
  const ending = new AbortController();
  const nextFeed = feeds.values();
  const nextPoll = polls.values();
  const feed: Feed = {
    async *open() {
      const acts = nextFeed.next().value;
      if (acts === undefined) ending.abort();
      for (const act of acts ?? []) {
        if (act instanceof Error) throw act;
        yield wantsOf(act);
      }
    },
    poll: async ({ after }) => {
      const act = nextPoll.next().value;
      told.push(`poll after ${after}`);
      if (act === undefined) {
        ending.abort();
        return null;
      }
      if (act instanceof Error) throw act;
      return act === null ? null : wantsOf(act);
    },
    skip: () => told.push('next address'),
  };
  await pickUp(
    {
      feed,
      onWants: async ({ revision }) => {
        if (broken.has(revision)) throw new Error('The disk is full.');
        told.push(`wants ${revision}`);
      },
      onRefused: async () => {
        told.push('register again');
      },
      say: (text) => told.push(text),
      waits: (_key, what) => {
        if (what !== null) told.push(`waits for ${what}`);
      },
      chance: () => 0,
      sleep: async (ms) => {
        told.push(`sleep ${ms}`);
      },
    },
    ending.signal,
  );
}

const down = new Error('It can not be reached.');

test('a feed that breaks is opened again, slower each time until it speaks', async () => {
  const told: string[] = [];
  await play({ told, feeds: [[1, 2, down], [down], [3]] });
  expect(told).toEqual([
    'wants 1',
    'wants 2',
    'waits for the directory by feed: It can not be reached. try 1, next in 0.5 s',
    'sleep 500',
    'next address',
    'waits for the directory by feed: It can not be reached. try 2, next in 1.0 s',
    'sleep 1000',
    'next address',
    'directory is back',
    'wants 3',
    'waits for the directory by feed: The directory closed the feed. try 1, next in 0.5 s',
    'sleep 500',
    'next address',
  ]);
});

test('where no feed gets through it asks, from where it was, and tries the feed later', async () => {
  const told: string[] = [];
  const feeds = [[7, down], [down], [down], [down]];
  await play({ told, feeds, polls: [null, 8, down] });
  const said = told.filter((line) => !/^(?:sleep|next|waits)/u.test(line));
  expect(said).toEqual([
    'wants 7',
    'poll after 7',
    'poll after 7',
    'directory is back',
    'wants 8',
    'poll after 8',
    'poll after 8',
  ]);
});

test('a node that the directory does not know any more registers again', async () => {
  const told: string[] = [];
  const unknown = new DirectoryError('NOT_FOUND', 'There is no such node.');
  await play({ told, feeds: [[unknown], [1]] });
  expect(told.slice(1, 5)).toEqual(['sleep 500', 'register again', 'directory is back', 'wants 1']);
});

test('what could not be kept is asked for again', async () => {
  const told: string[] = [];
  const broken = new Set([1]);
  const feeds = [[1], [2]];
  await play({ told, feeds, broken });
  expect(told).toContain('waits for the directory by feed: The disk is full. try 1, next in 0.5 s');
  expect(told).toContain('wants 2');
});
