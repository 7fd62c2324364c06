import { z } from 'zod';
import { type Envelope, envelopeSchema } from '../../identity/envelope.ts';
import { toBase64, utf8 } from '../../lib/bytes.ts';
import { sha256Schema } from '../../lib/names.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { formatEntry } from '../../record/entry.ts';
import { parseTilePath } from '../../record/tile.ts';
import { formatTlogProof } from '../../record/tlog-proof.ts';
import { growthAnswer } from '../../sdk/seen.ts';
import { RefusedError } from '../errors.ts';
import type { Published } from '../record/head.ts';
import { type App, type Directory, notFound, REFUSALS } from './app.ts';

const TEXT = 'text/plain; charset=utf-8';
const BYTES = 'application/octet-stream';
/** What has this name never has another content. */
const FOR_EVER = 'public, max-age=31536000, immutable';
const NEVER = 'no-cache';

/** Bytes as they are. */
const bytesAnswer = { 200: z.any(), ...REFUSALS };

const digestParams = z.object({ digest: sha256Schema });
const sizeQuery = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const growthQuery = z.object({ from: sizeQuery, to: sizeQuery.optional() });

/** The record for everybody: what a C2SP log serves, and a proof for each entry by its digest. */
export function addRecordRoutes(app: App, { record }: Directory): void {
  const tags = ['record'];

  app.get('/record/checkpoint', { schema: { tags, response: bytesAnswer } }, async (_, reply) => {
    const { checkpoint } = await record.published();
    if (checkpoint === null) throw notPublished();
    return reply.type(TEXT).header('cache-control', NEVER).send(Buffer.from(checkpoint));
  });

  app.get('/record/policy', { schema: { tags, response: bytesAnswer } }, async (_, reply) =>
    reply
      .type(TEXT)
      .header('cache-control', NEVER)
      .send(Buffer.from(utf8(record.policy))),
  );

  app.get(
    '/record/tile/*',
    { schema: { tags, params: z.object({ '*': z.string().max(100) }), response: bytesAnswer } },
    async ({ params }, reply) => {
      const tile = parseTilePath(`tile/${params['*']}`);
      const bytes = tile === undefined ? undefined : await record.tile(tile);
      if (bytes === undefined) throw notFound('tile');
      return reply.type(BYTES).header('cache-control', FOR_EVER).send(Buffer.from(bytes));
    },
  );

  app.get(
    '/record/consistency',
    { schema: { tags, querystring: growthQuery, response: { 200: growthAnswer, ...REFUSALS } } },
    async ({ query: { from, to } }) => {
      const { size, checkpoint } = await record.published();
      if (checkpoint === null) throw notPublished();
      const newer = to ?? size;
      if (newer > size || from > newer) {
        const sentence = `The record is published up to ${size}; ask for a proof up to there.`;
        throw new RefusedError('NOT_FOUND', sentence, { facts: { size } });
      }
      const proof = await record.growth(from, newer, size);
      return {
        checkpoint: Buffer.from(checkpoint).toString('utf8'),
        proof: proof.map((hash) => toBase64(hash)),
      };
    },
  );

  addEntryRoutes(app, record);
}

function addEntryRoutes(app: App, record: Directory['record']): void {
  const tags = ['record'];

  app.get(
    '/record/proof/:digest',
    { schema: { tags, params: digestParams, response: bytesAnswer } },
    async ({ params }, reply) => {
      const placed = await record.entry(params.digest);
      if (placed === undefined) throw notFound('entry');
      const published: Published = await record.published();
      if (placed.index >= published.size) throw notPublished();
      const proof = await record.prove(placed.index, published);
      // The line that the leaf is the hash of: nobody has to put it together.
      const bytes = formatTlogProof({ ...proof, extra: formatEntry(placed.entry) });
      return reply.type(TEXT).header('cache-control', NEVER).send(Buffer.from(bytes));
    },
  );

  app.get(
    '/record/envelope/:digest',
    { schema: { tags, params: digestParams, response: { 200: envelopeSchema, ...REFUSALS } } },
    async ({ params }) => {
      const placed = await record.entry(params.digest);
      if (placed === undefined) throw notFound('entry');
      if (placed.envelope !== null) return JSON.parse(placed.envelope) as Envelope;
      throw new RefusedError('ENVELOPE_ERASED', 'What this entry commits to was erased.');
    },
  );
}

function notPublished(): RefusedError {
  const sentence = 'Enough witnesses have not seen it yet; ask again in a moment.';
  return new RefusedError('NOT_PUBLISHED', sentence, { facts: { waitMs: SECOND_MS } });
}
