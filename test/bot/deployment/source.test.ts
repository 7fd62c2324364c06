import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BotError } from '../../../src/bot/errors.ts';
import { deploymentJsonSchema } from '../../../src/bot/deployment/schema.ts';
import { parseDeployment } from '../../../src/bot/deployment/source.ts';
import { HOUR_MS, MiB } from '../../../src/lib/units.ts';

const EXAMPLE = readFileSync('src/bot/examples/hello.yaml', 'utf8');

function faultsOf(text: string): string {
  try {
    parseDeployment('hello.yaml', text);
  } catch (error) {
    if (error instanceof BotError && error.code === 'FILE_INVALID') return error.message;
    throw error;
  }
  return 'no fault';
}

test('the example is a deployment, with what it leaves out filled in', () => {
  const deployment = parseDeployment('hello.yaml', EXAMPLE);
  expect(deployment).toMatchObject({
    name: 'hello',
    durationMs: 24 * HOUR_MS,
    apart: ['web', 'client'],
  });
  const [web] = deployment.containers;
  expect(web).toMatchObject({
    name: 'web',
    cpuMillis: 250,
    memoryBytes: 32 * MiB,
    network: 'net',
    node: null,
    uid: 65534,
    env: {},
  });
});

test('JSON says the same as YAML', () => {
  const deployment = parseDeployment('hello.yaml', EXAMPLE);
  const [{ image, args } = { image: null, args: [] }] = deployment.containers;
  const json = { name: 'a', duration: '90m', containers: { web: { image, args } } };
  const parsed = parseDeployment('a.json', JSON.stringify(json));
  expect(parsed).toMatchObject({ name: 'a', durationMs: 1.5 * HOUR_MS, apart: [] });
  expect(parsed.containers[0]?.memoryBytes).toBe(64 * MiB);
});

const MANY_FAULTS = `name: Hello
duration: 24 hours
networks: { net: }
containers:
  web:
    image: { sha256: abc, lengthBytes: 12, sources: [ftp://x] }
    args: [/bin/busybox, -p, 80]
    memroy: 64MiB
    memory: 64MB
  Client:
    args: /bin/sh
`;

test('each fault of a file is told with its line, its field and what to write', async () => {
  await expect(faultsOf(MANY_FAULTS)).toMatchFileSnapshot('../../golden/bot/faults.txt');
});

test('what names another thing has to find it', async () => {
  const text = EXAMPLE.replace('network: net', 'network: ent')
    .replace('apart: [web, client]', 'apart: [web, clint]')
    .replace('/bin/busybox', 'busybox');
  await expect(faultsOf(text)).toMatchFileSnapshot('../../golden/bot/references.txt');
});

test.each([
  ['an empty file', '', /^hello\.yaml:1:1: here stands nothing; a map such as \{\} is wanted/],
  ['a list', '- a', /^hello\.yaml:1:1: here stands a list/],
  ['a key twice', 'name: a\nname: b', /^hello\.yaml:2:1: Map keys must be unique/],
  ['broken syntax', 'name: [', /^hello\.yaml:1:8: /],
  ['a tag', 'name: !!js a', /^hello\.yaml:1:7: Unresolved tag/],
  ['a missing field', 'name: a\ncontainers: {}', /^hello\.yaml:1:1: duration is missing/],
  ['two documents', 'name: a\n---\nname: b', /^hello\.yaml:2:1: /],
  ['a file without end', `# ${'x'.repeat(300_000)}`, /longer than 256 KiB/],
])('%s is refused', (_name, text, expected) => {
  expect(faultsOf(text)).toMatch(expected);
});

test('aliases that unfold without end are refused', () => {
  const levels = Array.from({ length: 12 }, (_, i) => {
    const parts = Array.from({ length: 9 }, () => `*l${i}`).join(', ');
    return `l${i + 1}: &l${i + 1} [${parts}]`;
  });
  expect(faultsOf(`l0: &l0 x\n${levels.join('\n')}`)).toContain('too many aliases');
});

test('a fault in a long line is shown with what stands around it', () => {
  const extra = 'y'.repeat(500);
  const text = JSON.stringify({ name: 'x', duration: '1h', containers: {}, extra });
  const quoted = faultsOf(text)
    .split('\n')
    .filter((line) => /^ +\d* \| /u.test(line));
  expect(quoted.length).toBeGreaterThan(0);
  for (const line of quoted) expect(line.length).toBeLessThan(120);
});

test('whatever the text is, it is a deployment or a told fault', () => {
  const words = fc.oneof(
    fc.constantFrom('name', 'containers', 'web', 'image', 'args', '80', 'null'),
    fc.constantFrom(':', ' ', '\n', '  ', '- ', '{', '}', '[', ']', '"', ',', '\t'),
    fc.constantFrom('&a', '*a', '!!x', '|', '#', '---', '\u0000'),
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 40 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      expect(faultsOf(text)).toMatch(/^(no fault|hello\.yaml(:\d+:\d+:)? )/);
    }),
    { numRuns: 500 },
  );
});

test('the published JSON Schema is the one of this source', () => {
  const published: unknown = JSON.parse(readFileSync('src/bot/deployment.schema.json', 'utf8'));
  const current: unknown = JSON.parse(deploymentJsonSchema());
  expect(published, 'run: npm run zos -- schema > src/bot/deployment.schema.json').toEqual(current);
});
