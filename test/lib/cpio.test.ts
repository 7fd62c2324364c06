import { constant, property, assert, array, record, stringMatching, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { type CpioEntry, readCpio, writeCpio } from '../../src/lib/cpio.ts';
import { utf8 } from '../../src/lib/bytes.ts';

const file = record({
  path: stringMatching(/^[a-z0-9./_-]{1,40}$/u),
  kind: constant('file' as const),
  bytes: uint8Array({ maxLength: 300 }),
});

test('what is written is read back, whatever the lengths', () => {
  assert(
    property(array(file, { maxLength: 8 }), (files) => {
      const members = readCpio(writeCpio(files));
      expect(members.map(({ path, bytes }) => ({ path, bytes: [...bytes] }))).toEqual(
        files.map(({ path, bytes }) => ({ path, bytes: [...bytes] })),
      );
    }),
  );
});

test('an archive is laid out as the kernel wants it', () => {
  const entries: CpioEntry[] = [
    { path: 'bin', kind: 'folder' },
    { path: 'bin/init', kind: 'file', bytes: utf8('ELF'), isExecutable: true },
  ];
  const archive = writeCpio(entries);
  expect(archive.length % 4).toBe(0);
  const text = Buffer.from(archive).toString('latin1');
  const fields = ['00000001', '000041ed', '0'.repeat(16), '00000002', '0'.repeat(48), '00000004'];
  // A head of 110 bytes, the name with its zero, and zeros up to a multiple of four.
  expect(text.slice(0, 122)).toBe(`070701${fields.join('')}00000000bin\x00\x00\x00070701`);
  expect(readCpio(archive).map(({ path, mode }) => [path, mode.toString(8)])).toEqual([
    ['bin', '40755'],
    ['bin/init', '100755'],
  ]);
});

test('an archive that is cut is refused', () => {
  const archive = writeCpio([{ path: 'a', kind: 'file', bytes: utf8('hello') }]);
  expect(() => readCpio(archive.subarray(0, archive.length - 40))).toThrow('cut or damaged');
});
