import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exchange } from '../../../src/host/http.ts';
import { openDirectory } from '../../support/directory.ts';

const SOURCES = join(import.meta.dirname, '../../../src/directory');
/** The document itself. */
const UNDOCUMENTED = ['GET /v1/openapi.json'];

type Schema = {
  properties?: Record<string, Schema>;
  additionalProperties?: unknown;
  anyOf?: Schema[];
};
type Operation = {
  tags?: string[];
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
};

async function readDocument(): Promise<Map<string, Operation>> {
  await using directory = await openDirectory();
  const { body } = await exchange({ url: `${directory.url}/v1/openapi.json` });
  const { paths } = JSON.parse(Buffer.from(body).toString('utf8')) as {
    paths: Record<string, Record<string, Operation>>;
  };
  return new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, said]) => [`${method.toUpperCase()} ${path}`, said]),
    ),
  );
}

const ROUTE = /\bapp\.(get|post|put|delete)\(\s*'([^']+)'/gu;
/** A farmer's word comes in by one function, which makes its route. */
const FARMER_WORD = /\baddFarmerWord\(app, directory, \{\s*name: '([^']+)'/gu;

/** Every route that stands in the source, as the document writes it. */
function routesInSource(): string[] {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(SOURCES, name), 'utf8'))
    .flatMap((text) => [
      ...[...text.matchAll(ROUTE)].map(([, method = '', path = '']) => {
        return `${method.toUpperCase()} ${path.replaceAll(/:(\w+)|(\*)/gu, '{$1$2}')}`;
      }),
      ...[...text.matchAll(FARMER_WORD)].map(([, name]) => `POST /v1/farms/{id}/${name}`),
    ]);
}

/** Whether a body may hold what is named and nothing else. */
function isClosed(schema: Schema | undefined): boolean {
  if (schema?.anyOf !== undefined) return schema.anyOf.every((one) => isClosed(one));
  return schema?.additionalProperties === false;
}

test('the OpenAPI document names every route, and no other', async () => {
  const routes = routesInSource();
  expect(routes.length).toBeGreaterThan(20);
  const documented = [...(await readDocument()).keys(), ...UNDOCUMENTED];
  expect(documented.toSorted()).toEqual(routes.toSorted());
});

test('each route says what it takes, what it answers, and how it refuses', async () => {
  const faults: string[] = [];
  for (const [route, { tags, parameters = [], requestBody, responses }] of await readDocument()) {
    if (tags?.length !== 1) faults.push(`${route} has no tag`);
    const named = [...route.matchAll(/\{(\w+|\*)\}/gu)].map(([, name]) => name);
    const inPath = parameters.filter((it) => it.in === 'path').map(({ name }) => name);
    if (String(named) !== String(inPath)) faults.push(`${route} has no schema of its path`);
    const body = requestBody?.content['application/json']?.schema;
    if (route.startsWith('POST') && !isClosed(body)) {
      faults.push(`${route} takes a body that it does not describe, or more than that`);
    }
    for (const status of ['4XX', '5XX']) {
      const refusal = responses[status]?.content?.['application/json']?.schema.properties ?? {};
      if (!('code' in refusal && 'sentence' in refusal)) faults.push(`${route} hides ${status}`);
    }
    const isStream = route.endsWith('/feed');
    const answers = Object.keys(responses).some((status) => status.startsWith('20'));
    if (!answers && !isStream) faults.push(`${route} does not say what it answers`);
  }
  expect(faults).toEqual([]);
});

test('every list pages by cursor, with a limit', async () => {
  const faults: string[] = [];
  let lists = 0;
  for (const [route, { parameters = [], responses }] of await readDocument()) {
    const answer = responses['200']?.content?.['application/json']?.schema.properties ?? {};
    if (!('items' in answer)) continue;
    lists += 1;
    const query = new Map(parameters.map(({ name, schema }) => [name, schema]));
    const isPaged = query.has('cursor') && 'maximum' in (query.get('limit') ?? {});
    if (!isPaged || !('next' in answer)) faults.push(route);
  }
  expect(faults).toEqual([]);
  expect(lists).toBeGreaterThanOrEqual(5);
});
