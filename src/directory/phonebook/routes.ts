import { verifyIdentity } from '../../identity/document.ts';
import { RequestError } from '../../contract/request.ts';
import { fromBase64, sha256Hex } from '../../lib/bytes.ts';
import { checkLetterSize } from '../../phonebook/message.ts';
import { verifyClaim } from '../../phonebook/name.ts';
import { idParams } from '../../sdk/api.ts';
import * as api from '../../sdk/phonebook/api.ts';
import { type App, authorise, type Directory, notFound, REFUSALS, spendOf } from '../routes/app.ts';
import { senderTag } from './mailboxes.ts';

/** Names, and who holds them. */
export function addNameRoutes(app: App, directory: Directory): void {
  const { grid, store, nowMs } = directory;
  const tags = ['names'];

  app.post(
    '/v1/names',
    { schema: { tags, body: api.nameBody, response: { 200: api.claimAnswer, ...REFUSALS } } },
    async ({ body }) => {
      const owner = verifyIdentity(body.owner);
      const claim = verifyClaim(body.claim, owner, grid);
      spendOf(directory, owner.id);
      await store.putName({
        claim: { value: claim, envelope: body.claim },
        owner: { value: owner, envelope: body.owner },
        nowMs: nowMs(),
      });
      return { digest: claim.digest };
    },
  );

  app.get(
    '/v1/names',
    {
      schema: {
        tags,
        querystring: api.namesQuery,
        response: { 200: api.namesAnswer, ...REFUSALS },
      },
    },
    async ({ query: { owner, ...page } }) => store.names({ owner }, page),
  );

  app.get(
    '/v1/names/:name',
    { schema: { tags, params: api.nameParams, response: { 200: api.nameAnswer, ...REFUSALS } } },
    async ({ params }) => {
      const name = await store.name(params.name);
      if (name === undefined) throw notFound('name');
      return name;
    },
  );
}

/** Mailboxes: anybody known by a signature may write, and their owner alone reads. */
export function addMailboxRoutes(app: App, directory: Directory): void {
  const { own, store, nowMs } = directory;
  const tags = ['mailboxes'];

  app.post(
    '/v1/mailboxes/:id',
    {
      schema: {
        tags,
        params: idParams,
        querystring: api.letterQuery,
        body: api.letterBody,
        response: { 200: api.nothingAnswer, ...REFUSALS },
      },
    },
    async (request) => {
      const { params, query, body } = request;
      const sender = verifyIdentity(body.sender);
      const sealed = fromBase64(body.sealed) ?? new Uint8Array();
      if (sha256Hex(sealed) !== query.digest) {
        throw new RequestError('REQUEST_FOREIGN', 'The signature is for another letter.');
      }
      checkLetterSize(sealed);
      await authorise(directory, sender, request);
      const tag = senderTag(own.keys.sealing.secretKey, sender.id, params.id);
      await store.putMessage({ recipient: params.id, sealed, sender, tag, nowMs: nowMs() });
      return {};
    },
  );

  addReaderRoutes(app, directory);
}

/** What only the owner of a mailbox may do with it. */
function addReaderRoutes(app: App, directory: Directory): void {
  const { store, nowMs } = directory;
  const tags = ['mailboxes'];

  app.get(
    '/v1/mailboxes/:id',
    {
      schema: {
        tags,
        params: idParams,
        querystring: api.mailboxQuery,
        response: { 200: api.mailboxAnswer, ...REFUSALS },
      },
    },
    async (request) => {
      const { params, query } = request;
      const document = await store.identity(params.id);
      if (document === undefined) throw notFound('identity');
      await authorise(directory, verifyIdentity(document, params.id), request);
      return store.messages(params.id, { ...query, nowMs: nowMs() });
    },
  );

  app.post(
    '/v1/mailboxes/:id/read',
    {
      schema: {
        tags,
        params: idParams,
        querystring: api.readQuery,
        body: api.nothingBody,
        response: { 200: api.nothingAnswer, ...REFUSALS },
      },
    },
    async (request) => {
      const { params, query } = request;
      const document = await store.identity(params.id);
      if (document === undefined) throw notFound('identity');
      await authorise(directory, verifyIdentity(document, params.id), request);
      await store.dropMessages(params.id, query.upTo);
      return {};
    },
  );
}
