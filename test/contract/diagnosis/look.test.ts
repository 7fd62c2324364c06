import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lookSchema } from '../../../src/contract/diagnosis/look.ts';
import { questionSchema } from '../../../src/contract/spec.ts';
import { LOOKS, readLook } from '../../../src/bot/questions/look.ts';

const ASKED = {
  grid: 'lab',
  node: 'ab'.repeat(32),
  tenant: 'cd'.repeat(32),
  nonce: '0'.repeat(32),
  atMs: 1,
};

test('the list of questions is closed, and each look takes what it needs and nothing else', () => {
  const asks = questionSchema.options.map(({ shape }) => shape.ask.value);
  expect(asks.toSorted()).toEqual(['attest', 'explain', 'logs', 'look', 'measure', 'power']);
  const looks = lookSchema.options.map(({ shape }) => [
    shape.what.value,
    ...Object.keys(shape).filter((key) => key !== 'what'),
  ]);
  expect(looks).toEqual([
    ['clock'],
    ['disks'],
    ['kernel-log'],
    ['links'],
    ['name', 'name'],
    ['packets'],
    ['reach', 'host', 'port'],
    ['route', 'address'],
  ]);
  expect(Object.keys(LOOKS)).toEqual(looks.map(([what]) => what));
});

test('no text but a host name or an address gets through, least of all an option or a command', () => {
  const texts = fc.oneof(fc.string(), fc.stringMatching(/^[-\w.:;$|&/ ]{1,40}$/u));
  fc.assert(
    fc.property(texts, (text) => {
      for (const look of [
        { what: 'name', name: text },
        { what: 'reach', host: text, port: 443 },
        { what: 'route', address: text },
        { what: text },
      ]) {
        const read = questionSchema.safeParse({ ...ASKED, ask: 'look', look });
        if (!read.success) continue;
        const isPlain = /^[\w.:%-]+$/u.test(text) && !text.startsWith('-');
        expect(isPlain).toBe(true);
      }
    }),
  );
  for (const more of [{ command: 'id' }, { filter: 'udp' }, { path: '/etc' }]) {
    expect(lookSchema.safeParse({ what: 'packets', ...more }).success).toBe(false);
  }
});

test('people write a look in words, and are told the list when there is no such look', () => {
  expect(readLook({ what: 'reach', about: '[fd00::1]:443' })).toEqual({
    what: 'reach',
    host: 'fd00::1',
    port: 443,
  });
  expect(readLook({ what: 'route', about: '10.1.2.3' })).toEqual({
    what: 'route',
    address: '10.1.2.3',
  });
  expect(readLook({ what: 'links', about: undefined })).toEqual({ what: 'links' });
  for (const [what, about] of [
    ['shell', undefined],
    ['links', 'eth0'],
    ['name', '-c'],
    ['reach', 'host'],
    ['__proto__', 'x'],
  ] as const) {
    expect(() => readLook({ what, about })).toThrow('A node can be asked: clock, disks,');
  }
});
