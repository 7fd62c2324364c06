import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { REQUEST_AGE_MS_MAX, RequestError, verifyRequest } from '../../contract/request.ts';
import { wantsSchema } from '../../contract/wants.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { idParams, wantsQuery } from '../../sdk/api.ts';
import type { Watch } from '../notifier.ts';
import { type App, type Directory, notFound, REFUSALS, spendOf } from './app.ts';

/** A comment after this long without an event, so that dead connections are noticed. */
const KEEP_ALIVE_MS = 15 * SECOND_MS;
/** How long a reader may leave an event unread. */
const UNREAD_MS_MAX = 30 * SECOND_MS;

/** What a node shall have: pushed as it changes, or asked for. */
export function addFeedRoutes(app: App, directory: Directory): void {
  const tags = ['nodes'];
  const feeds = new Map<string, Watch>();

  app.get(
    '/v1/nodes/:id/feed',
    { schema: { tags, params: idParams, response: REFUSALS } },
    async (request, reply) => {
      const node = request.params.id;
      await authorise(directory, node, request);
      // The newest connection of a node counts: the one before may be dead without our knowing.
      feeds.get(node)?.close();
      const watch = directory.notifier.watch(node);
      feeds.set(node, watch);
      reply.hijack();
      const last = request.headers['last-event-id'];
      try {
        await feed({ directory, node, watch, raw: reply.raw, last: Number(last ?? -1) });
      } catch (error) {
        directory.log.warn({ node, error }, 'feed broke off');
      } finally {
        watch.close();
        if (feeds.get(node) === watch) feeds.delete(node);
        reply.raw.destroy();
      }
    },
  );

  app.get(
    '/v1/nodes/:id/wants',
    {
      schema: {
        tags,
        params: idParams,
        querystring: wantsQuery,
        response: { 200: wantsSchema, 204: z.null(), ...REFUSALS },
      },
    },
    async (request, reply) => {
      const node = request.params.id;
      await authorise(directory, node, request);
      const { after, waitMs } = request.query;
      using watch = disposable(directory.notifier.watch(node));
      if ((await directory.store.revision(node)) === after && waitMs > 0) {
        const release = () => watch.close();
        request.raw.once('close', release);
        await watch.next(waitMs);
      }
      const wants = await directory.store.wants(node, directory.nowMs());
      if (wants === undefined) throw notFound('node');
      return wants.revision === after ? reply.code(204).send(null) : reply.send(wants);
    },
  );
}

/** Lets in only what the node itself signed, lately, for the first time. */
async function authorise(
  directory: Directory,
  node: string,
  request: FastifyRequest,
): Promise<void> {
  const { grid, store, nowMs } = directory;
  const entry = await store.identity(node);
  if (entry === undefined || (await store.revision(node)) === undefined) throw notFound('node');
  const signed = verifyRequest(request.headers.authorization, {
    identity: verifyIdentity(entry, node),
    grid,
    method: request.method,
    path: request.url,
    nowMs: nowMs(),
  });
  spendOf(directory, node);
  const untilMs = signed.atMs + REQUEST_AGE_MS_MAX + SECOND_MS;
  if (await store.claimNonce({ node, nonce: signed.nonce, untilMs })) return;
  throw new RequestError('REQUEST_REPLAYED', 'This very request came before; sign it anew.');
}

type Feed = {
  readonly directory: Directory;
  readonly node: string;
  readonly watch: Watch;
  readonly raw: ServerResponse;
  /** The revision that the reader saw last, if it says so. */
  readonly last: number;
};

/** Writes whole wants, the newest only: changes that come while one is unread become one. */
async function feed({ directory, node, watch, raw, last }: Feed): Promise<void> {
  let shown = last;
  raw.on('close', () => watch.close());
  raw.on('error', () => watch.close());
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  for (;;) {
    const wants = await directory.store.wants(node, directory.nowMs());
    if (wants === undefined) return;
    if (wants.revision !== shown) {
      await write(raw, `id: ${wants.revision}\ndata: ${JSON.stringify(wants)}\n\n`);
      shown = wants.revision;
    }
    let word = await watch.next(KEEP_ALIVE_MS);
    while (word === 'silent') {
      await write(raw, ': alive\n\n');
      word = await watch.next(KEEP_ALIVE_MS);
    }
    if (word === 'closed') return;
  }
}

async function write(raw: ServerResponse, text: string): Promise<void> {
  if (raw.destroyed || raw.write(text)) return;
  await once(raw, 'drain', { signal: AbortSignal.timeout(UNREAD_MS_MAX) });
}

function disposable(watch: Watch): Watch & Disposable {
  return { ...watch, [Symbol.dispose]: () => watch.close() };
}
