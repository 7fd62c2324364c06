import { envelopeSchema } from '../../identity/envelope.ts';
import { RolloutError } from '../../rollout/spec.ts';
import { signTurnAnswer, verifyTurnWish, verifyUpdatePolicy } from '../../rollout/verify.ts';
import { idParams, updatesAnswer } from '../../sdk/api.ts';
import { type App, claimedNode, type Directory, notFound, REFUSALS, spendOf } from './app.ts';
import { addFarmerWord } from './farmer-word.ts';

/** How farms are updated: their farmers' word, and whose turn it is. */
export function addRolloutRoutes(app: App, directory: Directory): void {
  const { grid, own, store, nowMs } = directory;
  const tags = ['updates'];

  addFarmerWord(app, directory, {
    name: 'policy',
    tag: 'updates',
    verify: (word, farmer, farm) => verifyUpdatePolicy(word, farmer, { grid, farm }),
    put: async (word, document, farm) => {
      await store.putUpdatePolicy(word, document);
      return farm;
    },
  });

  app.get(
    '/v1/farms/:id/updates',
    { schema: { tags, params: idParams, response: { 200: updatesAnswer, ...REFUSALS } } },
    async ({ params }) => {
      const updates = await store.updates(params.id);
      if (updates === undefined) throw notFound('farm');
      return updates;
    },
  );

  app.post(
    '/v1/nodes/:id/turn',
    {
      schema: {
        tags,
        params: idParams,
        body: envelopeSchema,
        response: { 200: envelopeSchema, ...REFUSALS },
      },
    },
    async ({ params, body }) => {
      const node = await claimedNode(directory, body, 'turn');
      if (node.id !== params.id) {
        throw new RolloutError('TURN_FOREIGN', 'It asks for another node than the one named.');
      }
      const wish = verifyTurnWish(body, node, { grid, nowMs: nowMs() });
      spendOf(directory, node.id);
      const judgement = await store.takeTurn(wish, nowMs());
      return signTurnAnswer(wish, judgement, own.keys.signing);
    },
  );
}
