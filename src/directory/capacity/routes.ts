import { verifyTerms } from '../../capacity/farm/terms.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { envelopeSchema } from '../../identity/envelope.ts';
import { capacityQuery, farmAnswer, idAnswer, idParams, nodesAnswer } from '../../sdk/api.ts';
import { RefusedError } from '../errors.ts';
import { type App, type Directory, notFound, REFUSALS, spendOf } from '../routes/app.ts';

/** What is to be had, from whom, where and for how much. */
export function addCapacityRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;

  app.get(
    '/v1/capacity',
    {
      schema: {
        tags: ['capacity'],
        querystring: capacityQuery,
        response: { 200: nodesAnswer, ...REFUSALS },
      },
    },
    async ({ query: { cursor, limit, ...search } }) =>
      store.capacity(search, { cursor, limit }, nowMs()),
  );

  app.get(
    '/v1/farms/:id',
    {
      schema: { tags: ['farms'], params: idParams, response: { 200: farmAnswer, ...REFUSALS } },
    },
    async ({ params }) => {
      const farm = await store.farm(params.id);
      if (farm === undefined) throw notFound('farm');
      return farm;
    },
  );

  app.post(
    '/v1/farms/:id/terms',
    {
      schema: {
        tags: ['farms'],
        params: idParams,
        body: envelopeSchema,
        response: { 200: idAnswer, ...REFUSALS },
      },
    },
    async ({ params, body }) => {
      const farm = params.id;
      const document = await store.farmer(farm);
      if (document === undefined) {
        throw new RefusedError('FARM_UNKNOWN', 'No such farm is registered; create it first.');
      }
      const farmer = verifyIdentity(document);
      const terms = verifyTerms(body, farmer, { grid, farm });
      spendOf(directory, farmer.id);
      await store.putTerms({ value: terms, envelope: body }, document);
      return { id: farm };
    },
  );
}
