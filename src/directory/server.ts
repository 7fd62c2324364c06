import swagger from '@fastify/swagger';
import { fastify, type FastifyError } from 'fastify';
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { ZosError } from '../lib/errors.ts';
import { parseStrictJson } from '../lib/strict-json.ts';
import { MiB, SECOND_MS } from '../lib/units.ts';
import type { Refusal } from '../sdk/api.ts';
import { addressKey, type Buckets } from './buckets.ts';
import {
  ADDRESS_CONNECTIONS_MAX,
  brokenRequest,
  limitConnections,
  refuseOn,
} from './http/connections.ts';
import { RefusedError, statusOf } from './errors.ts';
import { addApprovalRoutes } from './approval/routes.ts';
import { addCapacityRoutes, addSampleRoutes } from './capacity/routes.ts';
import { addMailboxRoutes, addNameRoutes } from './phonebook/routes.ts';
import type { Metrics } from './metrics/metrics.ts';
import { type App, type Directory, tooMany } from './routes/app.ts';
import { addContractRoutes, addReceiptRoutes } from './routes/contracts.ts';
import { addFeedRoutes } from './routes/feed.ts';
import { addGridRoutes } from './routes/grid.ts';
import { addFarmRoutes, addNodeRoutes } from './routes/nodes.ts';
import { addRecordRoutes } from './routes/record.ts';
import { addReleaseRoutes } from './routes/release.ts';
import { addQuestionRoutes } from './routes/questions.ts';
import { addDiskRoutes } from './disks/routes.ts';
import { addRolloutRoutes } from './routes/rollout.ts';

const BODY_BYTES_MAX = MiB;
/** A body, an envelope in it, its list of signatures, and one of them. */
const BODY_DEPTH_MAX = 8;
const CONNECTIONS_MAX = 12_000;
/** So many times the time for a whole request, a connection may say nothing at all. */
const SILENT_DEADLINES = 6;

export type ServerOptions = {
  readonly directory: Directory;
  /** All requests, by the address that they come from. */
  readonly byAddress: Buckets;
  /** For a whole request to arrive; its head has half of it. */
  readonly requestDeadlineMs: number;
  readonly addressConnectionsMax?: number;
};

/** The directory's HTTP, ready to listen; closing it lets requests end and breaks off feeds. */
export async function makeServer(options: ServerOptions): Promise<App> {
  const { directory, byAddress, requestDeadlineMs } = options;
  const { addressConnectionsMax = ADDRESS_CONNECTIONS_MAX } = options;
  const app: App = fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: requestDeadlineMs,
    keepAliveTimeout: 30 * SECOND_MS,
    forceCloseConnections: 'idle',
    // Longer than any long-poll: who leaves an answer unread this long is gone.
    connectionTimeout: SILENT_DEADLINES * requestDeadlineMs,
    clientErrorHandler: (error, socket) => {
      const refusal = brokenRequest(error);
      directory.metrics.refused(refusal.code);
      refuseOn(socket, refusal);
    },
    http: {
      headersTimeout: Math.ceil(requestDeadlineMs / 2),
      connectionsCheckingInterval: Math.min(SECOND_MS, Math.ceil(requestDeadlineMs / 4)),
      maxHeaderSize: 16 * 1024,
    },
  }).withTypeProvider<ZodTypeProvider>();
  app.server.maxConnections = CONNECTIONS_MAX;
  limitConnections(app.server, addressConnectionsMax, directory.metrics);
  addCounting(app, directory.metrics);
  directory.metrics.watch({
    name: 'record_entries',
    help: 'Entries of the record that the witnesses saw.',
    read: async () => (await directory.record.published()).size,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) =>
      parseStrictJson(body, {
        bytesMax: BODY_BYTES_MAX,
        depthMax: BODY_DEPTH_MAX,
      }),
  );
  app.addHook('onRequest', async (request) => {
    const waitMs = byAddress.take(addressKey(request.ip), directory.nowMs());
    if (waitMs > 0) throw tooMany(waitMs);
  });
  addRefusals(app, directory);
  await app.register(swagger, {
    openapi: { info: { title: 'Zero-OS directory', version: '1' } },
    transform: jsonSchemaTransform,
  });
  await app.register(async (plain) =>
    addRoutes(plain.withTypeProvider<ZodTypeProvider>(), directory),
  );
  app.addHook('preClose', async () => directory.notifier.close());
  return app;
}

/** Counts every answer by its route: never by its path, for that names people. */
function addCounting(app: App, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    metrics.answered({
      method: routeOptions.url === undefined ? 'any' : method,
      route: routeOptions.url ?? 'none',
      status: reply.statusCode,
      seconds: reply.elapsedTime / SECOND_MS,
    });
  });
}

function addRoutes(app: App, directory: Directory): void {
  let document: string | undefined;
  app.get('/v1/openapi.json', { schema: { hide: true } }, async (_, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json').send(document);
  });
  addGridRoutes(app, directory);
  addFarmRoutes(app, directory);
  addNodeRoutes(app, directory);
  addApprovalRoutes(app, directory);
  addCapacityRoutes(app, directory);
  addSampleRoutes(app, directory);
  addFeedRoutes(app, directory);
  addContractRoutes(app, directory);
  addReceiptRoutes(app, directory);
  addQuestionRoutes(app, directory);
  addRolloutRoutes(app, directory);
  addDiskRoutes(app, directory);
  addReleaseRoutes(app, directory);
  addRecordRoutes(app, directory);
  addNameRoutes(app, directory);
  addMailboxRoutes(app, directory);
}

function addRefusals(app: App, directory: Directory): void {
  app.setNotFoundHandler(async (_request, reply) => {
    const sentence = 'There is nothing here; see /v1/openapi.json for what there is.';
    return reply.code(404).send({ code: 'NOT_FOUND', sentence } satisfies Refusal);
  });
  app.setErrorHandler(async (raw: FastifyError, request, reply) => {
    const error = ourErrorOf(raw);
    const status = statusOf(error);
    if (status === undefined || status >= 500) {
      directory.log.error(
        { error: raw, cause: raw.cause, route: request.routeOptions.url },
        'request failed',
      );
    }
    const waitMs = error.facts['waitMs'];
    if (typeof waitMs === 'number') {
      void reply.header('retry-after', String(Math.ceil(waitMs / SECOND_MS)));
    }
    const { code, message: sentence, facts } = error;
    directory.metrics.refused(code);
    const refusal: Refusal =
      Object.keys(facts).length === 0 ? { code, sentence } : { code, sentence, facts };
    return reply.code(status ?? 500).send(refusal);
  });
}

/** Every error with a code and a sentence; what nobody expected says nothing of itself outside. */
function ourErrorOf(error: FastifyError): ZosError {
  if (error instanceof ZosError && statusOf(error) !== undefined) return error;
  const first = error.validation?.[0];
  if (first !== undefined) {
    const where = `${error.validationContext ?? ''}${first.instancePath}`;
    return new RefusedError('BODY_MALFORMED', `${where}: ${first.message ?? 'not as it must be'}`);
  }
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new RefusedError('BODY_TOO_LONG', `A body may be ${BODY_BYTES_MAX} bytes at most.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new RefusedError('BODY_TYPE', 'Send a JSON body as content-type application/json.');
    default:
      break;
  }
  const isTheirs = error.statusCode !== undefined && error.statusCode < 500;
  if (isTheirs) return new RefusedError('BODY_MALFORMED', 'The request is not as it must be.');
  return new ZosError('UNEXPECTED', 'The directory failed at this; try again later.');
}
