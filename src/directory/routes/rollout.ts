import { envelopeSchema } from '../../identity/envelope.ts';
import { RolloutError } from '../../rollout/spec.ts';
import { signTurnAnswer, verifyTurnWish, verifyUpdatePolicy } from '../../rollout/verify.ts';
import { idAnswer, idParams, updatesAnswer } from '../../sdk/api.ts';
import {
  type App,
  claimedNode,
  type Directory,
  farmerOf,
  notFound,
  REFUSALS,
  spendOf,
} from './app.ts';

/** How farms are updated: their farmers' word, and whose turn it is. */
export function addRolloutRoutes(app: App, directory: Directory): void {
  const { grid, own, store, nowMs } = directory;
  const tags = ['updates'];

  app.post(
    '/v1/farms/:id/policy',
    {
      schema: {
        tags,
        params: idParams,
        body: envelopeSchema,
        response: { 200: idAnswer, ...REFUSALS },
      },
    },
    async ({ params, body }) => {
      const farm = params.id;
      const { document, farmer } = await farmerOf(directory, farm);
      const policy = verifyUpdatePolicy(body, farmer, { grid, farm });
      spendOf(directory, farmer.id);
      await store.putUpdatePolicy({ value: policy, envelope: body }, document);
      return { id: farm };
    },
  );

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
