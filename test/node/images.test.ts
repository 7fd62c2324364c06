import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { NamedFile } from '../../src/lib/names.ts';
import { openImages } from '../../src/node/images.ts';

function imageOf(digit: string): NamedFile {
  return { sha256: digit.repeat(64), lengthBytes: 100, sources: ['http://mirror.test/image'] };
}

type Ask = { readonly digit: string; readonly signal: AbortSignal; readonly end: () => void };

/** Fetches that end when the test says so. */
function open(failures: string[] = []) {
  const asked: Ask[] = [];
  const naps: number[] = [];
  const here = new Set<string>();
  const ending = new AbortController();
  const images = openImages(
    {
      hasImage: async ({ sha256 }) => here.has(sha256),
      fetchImage: async ({ sha256 }, { onProgress, signal }) => {
        const failure = failures.shift();
        if (failure !== undefined) throw new Error(failure);
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        asked.push({ digit: sha256.charAt(0), signal, end: resolve });
        onProgress(40);
        await promise;
        here.add(sha256);
      },
      clock: () => 0,
      chance: () => 0,
      sleep: async (ms) => {
        naps.push(ms);
      },
      onChange: () => undefined,
      onTrouble: () => undefined,
    },
    ending.signal,
  );
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) await setImmediate();
  };
  return { images, asked, naps, here, settle };
}

test('two are fetched at a time, the others in turn, each with its progress', async () => {
  const { images, asked, settle } = open();
  images.want(['a', 'b', 'c'].map(imageOf));
  await settle();
  expect(asked.map(({ digit }) => digit)).toEqual(['a', 'b']);
  expect(images.fetchOf('a'.repeat(64))).toMatchObject({ isFetched: false, fetchedBytes: 40 });
  asked[0]?.end();
  await settle();
  expect(asked.map(({ digit }) => digit)).toEqual(['a', 'b', 'c']);
  expect(images.fetchOf('a'.repeat(64))).toMatchObject({ isFetched: true, fetchedBytes: 100 });
});

test('one that fails is tried again, slower, and says why meanwhile', async () => {
  const { images, asked, naps, settle } = open(['No source.', 'No source.']);
  images.want([imageOf('a')]);
  await settle();
  expect(naps).toEqual([1000, 2000]);
  expect(images.fetchOf('a'.repeat(64))?.failure).toBeNull();
  asked[0]?.end();
  await settle();
  expect(images.fetchOf('a'.repeat(64))?.isFetched).toBe(true);
});

test('one that nobody wants any more is stopped', async () => {
  const { images, asked, settle } = open();
  images.want([imageOf('a')]);
  await settle();
  images.want([]);
  await settle();
  expect(asked[0]?.signal.aborted).toBe(true);
  expect(images.fetchOf('a'.repeat(64))).toBeUndefined();
});

test('one that could not be used is looked for again, and fetched when it is gone', async () => {
  const { images, asked, here, settle } = open();
  const a = imageOf('a');
  images.want([a]);
  await settle();
  asked[0]?.end();
  await settle();
  here.clear();
  images.doubt(a.sha256);
  await settle();
  expect(asked).toHaveLength(2);
  expect(images.fetchOf(a.sha256)?.isFetched).toBe(false);
});
