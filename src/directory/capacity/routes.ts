import { z } from 'zod';
import { verifyTerms } from '../../capacity/farm/terms.ts';
import { capacityQuery, farmAnswer, idParams, nodesAnswer } from '../../sdk/api.ts';
import { sampleOf } from './measuring.ts';
import { type App, type Directory, notFound, REFUSALS } from '../routes/app.ts';
import { addFarmerWord } from '../routes/farmer-word.ts';

/** Bytes as they are. */
const sampleAnswer = { 200: z.instanceof(Uint8Array), ...REFUSALS };
/** So many samples are remembered as sent; their questions lapse long before. */
const SERVED_MAX = 10_000;

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

  addFarmerWord(app, directory, {
    name: 'terms',
    tag: 'farms',
    verify: (word, farmer, farm) => verifyTerms(word, farmer, { grid, farm }),
    put: async (word, document, farm) => {
      await store.putTerms(word, document);
      return farm;
    },
  });
}

/** What a node fetches to show how fast its line is. */
export function addSampleRoutes(app: App, { own, store, nowMs }: Directory): void {
  const served = new Set<string>();
  app.get(
    '/v1/measurements/:id/sample',
    { schema: { tags: ['nodes'], params: idParams, response: sampleAnswer } },
    async ({ params: { id } }, reply) => {
      const question = await store.openQuestion(id, nowMs());
      const isSample = question?.ask === 'measure' && question.task.part === 'network';
      // Once for each question of our own: it is a lot for a little, and else anybody could ask.
      if (!isSample || question.tenant !== own.id || served.has(id)) throw notFound('sample');
      served.add(id);
      const [oldest] = served;
      if (served.size > SERVED_MAX && oldest !== undefined) served.delete(oldest);
      void reply.type('application/octet-stream');
      return reply.send(Buffer.from(sampleOf(own, id)));
    },
  );
}
