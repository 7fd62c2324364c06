import { bundleSchema } from '../../identity/bundle.ts';
import { envelopeSchema } from '../../identity/envelope.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { gridAnswer, idAnswer, idParams, timeQuery } from '../../sdk/api.ts';
import { signTime } from '../../sdk/time.ts';
import { type App, type Directory, notFound, REFUSALS, spendOf } from './app.ts';

/** The grid, its time, and the phone book. */
export function addGridRoutes(app: App, directory: Directory): void {
  const { grid, own, store } = directory;

  app.get(
    '/v1/grid',
    { schema: { tags: ['grid'], response: { 200: gridAnswer, ...REFUSALS } } },
    async () => ({ grid, directory: own.document }),
  );

  app.get(
    '/v1/time',
    {
      schema: {
        tags: ['grid'],
        querystring: timeQuery,
        response: { 200: envelopeSchema, ...REFUSALS },
      },
    },
    async ({ query }) =>
      signTime({ grid, nonce: query.nonce, nowMs: directory.nowMs() }, own.keys.signing),
  );

  app.post(
    '/v1/identities',
    {
      schema: {
        tags: ['identities'],
        body: bundleSchema,
        response: { 200: idAnswer, ...REFUSALS },
      },
    },
    async ({ body }) => {
      const identity = verifyIdentity(body);
      spendOf(directory, identity.id);
      await store.putIdentity({ value: identity, envelope: body }, directory.nowMs());
      return { id: identity.id };
    },
  );

  app.get(
    '/v1/identities/:id',
    {
      schema: {
        tags: ['identities'],
        params: idParams,
        response: { 200: bundleSchema, ...REFUSALS },
      },
    },
    async ({ params }) => {
      const identity = await store.identity(params.id);
      if (identity === undefined) throw notFound('identity');
      return identity;
    },
  );
}
