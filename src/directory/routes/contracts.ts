import { verifyReceipt } from '../../contract/receipt.ts';
import { verifyCancellation, verifyErasure, verifySignedContract } from '../../contract/verify.ts';
import { envelopeSchema } from '../../identity/envelope.ts';
import {
  admissionAnswer,
  cancellationBody,
  contractAnswer,
  contractBody,
  contractsAnswer,
  contractsQuery,
  erasureBody,
  idAnswer,
  idParams,
} from '../../sdk/api.ts';
import { type App, claimedNode, type Directory, notFound, REFUSALS, spendOf } from './app.ts';

/** Contracts, as their tenants sign them. */
export function addContractRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;
  const tags = ['contracts'];

  app.post(
    '/v1/contracts',
    {
      schema: {
        tags,
        body: contractBody,
        response: { 200: admissionAnswer, 201: admissionAnswer, ...REFUSALS },
      },
    },
    async ({ body }, reply) => {
      const contract = verifySignedContract(body, grid);
      spendOf(directory, contract.tenant);
      const { isNew, ...admission } = await store.admitContract({
        contract: { value: contract, envelope: body.contract },
        tenant: body.tenant,
        body: body.body,
        nowMs: nowMs(),
      });
      return reply.code(isNew ? 201 : 200).send(admission);
    },
  );

  app.get(
    '/v1/contracts/:id',
    { schema: { tags, params: idParams, response: { 200: contractAnswer, ...REFUSALS } } },
    async ({ params }) => {
      const contract = await store.contract(params.id);
      if (contract === undefined) throw notFound('contract');
      return contract;
    },
  );

  app.get(
    '/v1/contracts',
    {
      schema: {
        tags,
        querystring: contractsQuery,
        response: { 200: contractsAnswer, ...REFUSALS },
      },
    },
    async ({ query: { tenant, node, ...page } }) => store.contracts({ tenant, node }, page),
  );
}

/** What is said of a contract later: cancellations by its tenant, receipts by its node. */
export function addReceiptRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;
  const tags = ['contracts'];

  app.post(
    '/v1/cancellations',
    { schema: { tags, body: cancellationBody, response: { 200: idAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const cancellation = verifyCancellation(body, grid);
      spendOf(directory, cancellation.tenant);
      await store.cancelContract({
        cancellation: { value: cancellation, envelope: body.cancellation },
        tenant: body.tenant,
        nowMs: nowMs(),
      });
      return { id: cancellation.contract };
    },
  );

  app.post(
    '/v1/erasures',
    { schema: { tags, body: erasureBody, response: { 200: idAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const erasure = verifyErasure(body, grid);
      spendOf(directory, erasure.tenant);
      await store.eraseBody({ value: erasure, envelope: body.erasure }, nowMs());
      return { id: erasure.contract };
    },
  );

  app.post(
    '/v1/receipts',
    { schema: { tags, body: envelopeSchema, response: { 200: idAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const node = await claimedNode(directory, body, 'receipt');
      const receipt = verifyReceipt(body, node, grid);
      spendOf(directory, node.id);
      await store.putReceipt({ value: receipt, envelope: body }, nowMs());
      return { id: receipt.contract };
    },
  );
}
