import { nonceSchema, signBootAnswer, signedBootAnswer } from '../../artifact/release/answer.ts';
import { METADATA_BYTES_MAX, ROOT_ROTATIONS_MAX } from '../../artifact/release/metadata.ts';
import { versionsSchema } from '../../artifact/spec.ts';
import { z } from 'zod';
import { utf8 } from '../../lib/bytes.ts';
import { RefusedError } from '../errors.ts';
import { type App, type Directory, REFUSALS } from './app.ts';

/** The files of a release's metadata, letter by letter. */
const releaseBody = z.strictObject({
  roots: z.array(z.string().max(METADATA_BYTES_MAX.root)).max(ROOT_ROTATIONS_MAX),
  timestamp: z.string().max(METADATA_BYTES_MAX.timestamp),
  snapshot: z.string().max(METADATA_BYTES_MAX.snapshot),
  targets: z.string().max(METADATA_BYTES_MAX.targets),
});

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
      const { roots, timestamp, snapshot, targets } = body;
      const files = {
        roots: roots.map(utf8),
        timestamp: utf8(timestamp),
        snapshot: utf8(snapshot),
        targets: utf8(targets),
      };
      const { versions } = await store.putRelease({ trustedRoot, files, nowMs: nowMs() });
      return { versions };
    },
  );
}
