import { fetchBytes } from '../../host/http.ts';
import { parseStrictJson } from '../../lib/strict-json.ts';
import { KiB, SECOND_MS } from '../../lib/units.ts';
import { type BootAnswer, signedBootAnswer, verifyBootAnswer } from './answer.ts';
import { ArtifactError, type GridFile } from '../spec.ts';

const ANSWER_BYTES_MAX = 64 * KiB;
const DEADLINE_MS = 10 * SECOND_MS;

export type AnswerWish = {
  readonly grid: GridFile;
  /** A new one for each question. */
  readonly nonce: () => string;
  readonly onTrouble: (url: string, error: unknown) => void;
  readonly signal?: AbortSignal;
};

/** The first address of the directory that answers in its name; none when no one does. */
export async function fetchBootAnswer(wish: AnswerWish): Promise<BootAnswer | undefined> {
  const { urls, identity: directory } = wish.grid.directory;
  for (const url of urls) {
    const nonce = wish.nonce();
    try {
      const bytes = await fetchBytes({
        url: `${url.replace(/\/+$/u, '')}/v1/boot?nonce=${nonce}`,
        deadlineMs: DEADLINE_MS,
        bytesMax: ANSWER_BYTES_MAX,
        ...(wish.signal === undefined ? {} : { signal: wish.signal }),
      });
      const limits = { bytesMax: ANSWER_BYTES_MAX, depthMax: 6 };
      const signed = signedBootAnswer.safeParse(parseStrictJson(bytes, limits));
      if (!signed.success) throw malformed();
      return verifyBootAnswer(signed.data, { grid: wish.grid.grid, directory, nonce });
    } catch (error) {
      wish.signal?.throwIfAborted();
      wish.onTrouble(url, error);
    }
  }
  return undefined;
}

function malformed(): ArtifactError {
  return new ArtifactError('MALFORMED', 'It answered something else than a directory does.', {
    facts: { artifact: 'directory' },
  });
}
