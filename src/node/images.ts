import { sentenceOf } from '../lib/errors.ts';
import type { NamedFile } from '../lib/names.ts';
import { SECOND_MS } from '../lib/units.ts';
import { fetchedBytes, fetchImage } from '../zosfs/fetch.ts';
import { observeImages } from '../zosfs/observe.ts';
import type { ImageGround } from '../zosfs/plan.ts';
import { hasImage, makeRoom, openImageStore } from '../zosfs/store.ts';
import { openGate } from './loop/gate.ts';
import type { Fetch } from './wishes.ts';

const FETCHES_AT_ONCE = 2;
const RETRY_MS = 2 * SECOND_MS;
const RETRY_MS_MAX = 120 * SECOND_MS;
const PROGRESS_MS = SECOND_MS;

export type ImagesParts = {
  /** Whether the whole image is here already, checked against its hash. */
  readonly hasImage: (image: NamedFile, signal: AbortSignal) => Promise<boolean>;
  /** Fetches from any of its sources and checks length and hash; throws when none will do. */
  readonly fetchImage: (
    image: NamedFile,
    options: { onProgress: (fetchedBytes: number) => void; signal: AbortSignal },
  ) => Promise<void>;
  readonly clock: () => number;
  readonly chance: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Something that waits for an image may go on, or has another number to show. */
  readonly onChange: () => void;
  readonly onTrouble: (what: string, error: unknown) => void;
};

export type Images = {
  readonly fetchOf: (sha256: string) => Fetch | undefined;
  /** Says which images are wanted: new ones are fetched, others no longer. */
  readonly want: (images: readonly NamedFile[]) => void;
  /** Looks again whether an image is really here: something could not use it. */
  readonly doubt: (sha256: string) => void;
};

type Job = {
  readonly image: NamedFile;
  fetch: Fetch;
  readonly stop: AbortController;
  toldAtMs: number;
};

const NOTHING: Fetch = { isFetched: false, fetchedBytes: 0, failure: null };

/** Fetches images beside the loop, a few at once, each again and again until it is here. */
export function openImages(parts: ImagesParts, signal: AbortSignal): Images {
  const jobs = new Map<string, Job>();
  const gate = openGate(FETCHES_AT_ONCE);
  const tell = (job: Job, fetch: Partial<Fetch>): void => {
    job.fetch = { ...job.fetch, ...fetch };
    const nowMs = parts.clock();
    const isNews = fetch.isFetched === true || typeof fetch.failure === 'string';
    if (!isNews && Math.abs(nowMs - job.toldAtMs) < PROGRESS_MS) return;
    job.toldAtMs = nowMs;
    parts.onChange();
  };
  const tryOnce = async (job: Job, stop: AbortSignal): Promise<void> => {
    const { image } = job;
    if (!(await parts.hasImage(image, stop))) {
      const onProgress = (fetchedBytes: number): void => tell(job, { fetchedBytes, failure: null });
      await parts.fetchImage(image, { onProgress, signal: stop });
    }
    tell(job, { isFetched: true, fetchedBytes: image.lengthBytes, failure: null });
  };
  const start = async (image: NamedFile): Promise<void> => {
    const job: Job = { image, fetch: NOTHING, stop: new AbortController(), toldAtMs: 0 };
    jobs.set(image.sha256, job);
    const stop = AbortSignal.any([signal, job.stop.signal]);
    for (let failures = 0; !stop.aborted && !job.fetch.isFetched; failures += 1) {
      if (failures > 0) {
        const delayMs = Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX);
        await parts.sleep(delayMs * (0.5 + parts.chance() / 2), stop);
      }
      try {
        await gate(async () => (stop.aborted ? undefined : tryOnce(job, stop)));
      } catch (error) {
        if (stop.aborted) return;
        parts.onTrouble(`image ${image.sha256}`, error);
        tell(job, { failure: `${sentenceOf(error)} (try ${failures + 1})` });
      }
    }
  };
  const drop = (sha256: string): void => {
    jobs.get(sha256)?.stop.abort();
    jobs.delete(sha256);
  };
  return {
    fetchOf: (sha256) => jobs.get(sha256)?.fetch,
    want: (images) => {
      const wanted = new Set(images.map(({ sha256 }) => sha256));
      for (const sha256 of jobs.keys()) if (!wanted.has(sha256)) drop(sha256);
      for (const image of images) if (!jobs.has(image.sha256)) void start(image);
    },
    doubt: (sha256) => {
      const job = jobs.get(sha256);
      if (job?.fetch.isFetched !== true) return;
      drop(sha256);
      void start(job.image);
    },
  };
}

export type ImageDoors = Pick<ImagesParts, 'hasImage' | 'fetchImage'> & {
  readonly ground: ImageGround;
};

/** The images' folder and how they come into it. */
export async function openImageDoors(parts: {
  readonly dataPath: string | null;
  readonly sleep: ImagesParts['sleep'];
  readonly signal: AbortSignal;
}): Promise<ImageDoors> {
  const { dataPath, sleep, signal } = parts;
  const ground = await openImageStore({ dataPath, signal });
  return {
    ground,
    hasImage: async (image) => hasImage(image, ground),
    fetchImage: async (image, options) => {
      const inUse = new Set((await observeImages(ground)).keys());
      await makeRoom({ ground, neededBytes: image.lengthBytes, inUse });
      const watching = new AbortController();
      const watch = async (): Promise<void> => {
        while (!watching.signal.aborted) {
          await sleep(PROGRESS_MS, watching.signal);
          if (!watching.signal.aborted) options.onProgress(await fetchedBytes(image, ground));
        }
      };
      const watched = watch();
      try {
        await fetchImage(image, ground, options.signal);
      } finally {
        watching.abort();
        await watched;
      }
    },
  };
}
