import { z } from 'zod';
import { verifyApproval } from '../../identity/farm.ts';
import { envelopeSchema, parsePayload, untrustedPayload } from '../../identity/envelope.ts';
import { sha256Schema } from '../../lib/names.ts';
import { idParams } from '../../sdk/api.ts';
import { registrationAnswer } from '../../sdk/registration.ts';
import { RefusedError } from '../errors.ts';
import { type App, type Directory, farmerOf, REFUSALS, spendOf } from '../routes/app.ts';
import { missingPage, nodePage, PAGE_HEADERS } from './page.ts';

const hintSchema = z.looseObject({ farm: sha256Schema });
/** Capital letters come from the QR code of the node's screen. */
const pageParams = z.object({ id: z.string().regex(/^[0-9a-fA-F]{12,64}$/, '12 digits at least') });

/** How a node without a token joins: its page for people, and its farmer's word. */
export function addApprovalRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;

  app.post(
    '/v1/nodes/:id/approval',
    {
      schema: {
        tags: ['nodes'],
        params: idParams,
        body: envelopeSchema,
        response: { 200: registrationAnswer, ...REFUSALS },
      },
    },
    async ({ params, body }) => {
      const { farm } = parsePayload(untrustedPayload(body, 'node-approval'), hintSchema);
      const { farmer } = await farmerOf(directory, farm);
      const approval = verifyApproval(body, { farmer, grid });
      if (approval.node !== params.id || approval.farm !== farm) {
        throw new RefusedError(
          'BODY_MALFORMED',
          'This approval names another node; send it there.',
        );
      }
      spendOf(directory, farmer.id);
      return store.approveNode({ value: approval, envelope: body });
    },
  );

  for (const path of ['/n/:id', '/N/:id']) {
    app.get(path, { schema: { hide: true, params: pageParams } }, async ({ params }, reply) => {
      const { id } = pageParams.parse(params);
      const [found, other] = await store.nodesBy(id.toLowerCase());
      const node = found === undefined || other !== undefined ? undefined : await store.node(found);
      void reply.headers(PAGE_HEADERS);
      if (node === undefined) return reply.code(404).send(missingPage());
      const farm = node.farm === null ? undefined : await store.farm(node.farm);
      return reply.send(nodePage(node, farm, nowMs()));
    });
  }
}
