import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { wantsSchema } from '../../contract/wants.ts';
import { verifyIdentity } from '../../identity/document.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { idParams, wantsQuery } from '../../sdk/api.ts';
import { openFeeds } from '../feed/feeds.ts';
import type { Watch } from '../feed/notifier.ts';
import { type App, authorise, type Directory, notFound, REFUSALS } from './app.ts';

/** What a node shall have: pushed as it changes, or asked for. */
export function addFeedRoutes(app: App, directory: Directory): void {
  const tags = ['nodes'];
  const { notifier, store, nowMs, log } = directory;
  const wants = async (node: string) => store.wants(node, nowMs());
  const feeds = openFeeds({ notifier, wants, log });
  directory.metrics.watch({
    name: 'feeds',
    help: 'Nodes that hold their feed open at this process.',
    read: async () => feeds.count(),
  });
  const timer = setInterval(feeds.tick, SECOND_MS);
  app.addHook('preClose', async () => {
    clearInterval(timer);
    feeds.close();
  });

  app.get(
    '/v1/nodes/:id/feed',
    { schema: { tags, params: idParams, response: REFUSALS } },
    async (request, reply) => {
      const node = request.params.id;
      await authoriseNode(directory, node, request);
      const last = Number(request.headers['last-event-id'] ?? -1);
      reply.hijack();
      // The signature was checked: ten thousand readers' headers are not kept while they wait.
      request.raw.headers = {};
      request.raw.rawHeaders = [];
      feeds.open(node, reply.raw, last);
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
      await authoriseNode(directory, node, request);
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

/** Lets in only the node itself. */
async function authoriseNode(
  directory: Directory,
  node: string,
  request: FastifyRequest,
): Promise<void> {
  const { store } = directory;
  const entry = await store.identity(node);
  if (entry === undefined || (await store.revision(node)) === undefined) throw notFound('node');
  await authorise(directory, verifyIdentity(entry, node), request);
}

function disposable(watch: Watch): Watch & Disposable {
  return { ...watch, [Symbol.dispose]: () => watch.close() };
}
