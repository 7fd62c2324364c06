import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ArtifactError,
  type BootMedia,
  parseBootMedia,
  parseGridFile,
} from '../../src/artifact/spec.ts';
import { utf8 } from '../../src/lib/bytes.ts';

const media: BootMedia = {
  grid: 'test',
  mirrors: ['http://10.0.0.1:8080', 'https://boot.example/zos'],
  token: null,
  farmer: null,
};

test('a farm file as the boot server writes it is read', () => {
  expect(parseBootMedia(utf8(JSON.stringify(media)))).toEqual(media);
});

const twice = '{"grid":"a","grid":"b","mirrors":["http://a"],"token":null,"farmer":null}';

test.each([
  ['no text at all', '', 'NOT_JSON'],
  ['no JSON', '<html>', 'NOT_JSON'],
  ['a key twice', twice, 'NOT_JSON'],
  ['nested too deep', '['.repeat(40), 'NOT_JSON'],
  ['too long', JSON.stringify(media).padEnd(2 * 1024 * 1024), 'NOT_JSON'],
  ['another key', JSON.stringify({ ...media, shell: true }), 'MALFORMED'],
  ['no mirror', JSON.stringify({ ...media, mirrors: [] }), 'MALFORMED'],
  ['too many', JSON.stringify({ ...media, mirrors: Array(17).fill('http://a') }), 'MALFORMED'],
  ['a file', JSON.stringify({ ...media, mirrors: ['file:///etc/passwd'] }), 'MALFORMED'],
  ['a script', JSON.stringify({ ...media, mirrors: ['javascript:1'] }), 'MALFORMED'],
  ['a password', JSON.stringify({ ...media, mirrors: ['http://me:secret@a'] }), 'MALFORMED'],
  ['a query', JSON.stringify({ ...media, mirrors: ['http://a/?x'] }), 'MALFORMED'],
  ['a path as grid', JSON.stringify({ ...media, grid: '../grid' }), 'MALFORMED'],
  ['a token that is a text', JSON.stringify({ ...media, token: 'x' }), 'MALFORMED'],
])('a farm file with %s is refused', (_, text, code) => {
  let found: unknown;
  try {
    parseBootMedia(utf8(text));
  } catch (error) {
    found = error;
  }
  expect(found).toBeInstanceOf(ArtifactError);
  expect(found).toMatchObject({ code, facts: { artifact: 'farm.json' } });
});

test('whatever a farm or grid file holds, it is read or refused as an artifact', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((text) => utf8(text)),
    fc
      .record({ grid: fc.string(), mirrors: fc.array(fc.webUrl()), token: fc.jsonValue() })
      .map((value) => utf8(JSON.stringify({ ...value, farmer: null }))),
  );
  fc.assert(
    fc.property(anything, (bytes) => {
      for (const parse of [parseBootMedia, parseGridFile]) {
        try {
          parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ArtifactError);
        }
      }
    }),
    { numRuns: 500 },
  );
});
