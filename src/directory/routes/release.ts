import { nonceSchema, signBootAnswer, signedBootAnswer } from '../../artifact/release/answer.ts';
import { versionsSchema } from '../../artifact/spec.ts';
import { z } from 'zod';
import { textOf } from '../../lib/bytes.ts';
import { releaseAnswer, releaseBody } from '../../sdk/api.ts';
import { RefusedError } from '../errors.ts';
import { type App, type Directory, notFound, REFUSALS } from './app.ts';

/** What machines ask before there is an agent, and what tells the directory what is newest. */
export function addReleaseRoutes(app: App, directory: Directory): void {
  const { grid, own, store, nowMs, trustedRoot } = directory;
  const tags = ['release'];

  app.get(
    '/v1/boot',
    {
      schema: {
        tags,
        querystring: z.strictObject({ nonce: nonceSchema }),
        response: { 200: signedBootAnswer, ...REFUSALS },
      },
    },
    async ({ query: { nonce } }) => {
      const lowest = await store.lowestRelease();
      const answer = signBootAnswer({ grid, nonce, timeMs: nowMs(), lowest }, own.keys.signing);
      return { answer, directory: own.document };
    },
  );

  app.get(
    '/v1/release',
    { schema: { tags, response: { 200: releaseAnswer, ...REFUSALS } } },
    async () => {
      const published = await store.publishedRelease();
      if (published === null || trustedRoot === undefined) throw notFound('release');
      return { ...published, trustedRoot: textOf(trustedRoot) };
    },
  );

  app.post(
    '/v1/release',
    {
      schema: {
        tags,
        body: releaseBody,
        response: { 200: z.object({ versions: versionsSchema }), ...REFUSALS },
      },
    },
    async ({ body }) => {
      if (trustedRoot === undefined) {
        throw new RefusedError(
          'RELEASE_UNKNOWN',
          'This directory trusts no release keys; start it with --root FILE, a root.json.',
        );
      }
      const { versions } = await store.putRelease({ trustedRoot, body, nowMs: nowMs() });
      return { versions };
    },
  );
}
