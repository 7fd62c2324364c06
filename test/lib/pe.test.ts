import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addSections,
  authenticodeSha256,
  readSections,
  withoutSignatures,
} from '../../src/lib/pe.ts';
import { makeExecutable } from '../support/executable.ts';

/** What a signing tool does: a signature behind the end, and where it lies in the headers. */
function sign(image: Uint8Array, signature: Uint8Array): Buffer {
  const signed = Buffer.concat([image, signature]);
  const entry = signed.readUInt32LE(0x3c) + 24 + 112 + 4 * 8;
  signed.writeUInt32LE(image.length, entry);
  signed.writeUInt32LE(signature.length, entry + 4);
  return signed;
}

const sectionsArb = fc.array(
  fc.record({
    name: fc.constantFrom('.linux', '.initrd', '.cmdline', '.osrel'),
    bytes: fc.uint8Array({ maxLength: 5000 }),
  }),
  { maxLength: 6 },
);

test('what was put into sections is read back, behind what was there, the same every time', () => {
  fc.assert(
    fc.property(sectionsArb, (sections) => {
      const image = addSections(makeExecutable(), sections);
      const [first, ...others] = readSections(image);
      expect(first?.name).toBe('.text');
      expect(others.map(({ name }) => name)).toEqual(sections.map(({ name }) => name));
      for (const [index, { bytes }] of others.entries()) {
        expect(Buffer.from(bytes)).toEqual(Buffer.from(sections[index]?.bytes ?? []));
      }
      expect(addSections(makeExecutable(), sections)).toEqual(image);
    }),
  );
});

test('a signature changes neither the digest nor, once it is taken off, a byte', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 64 }), (signature) => {
      const image = makeExecutable();
      const signed = sign(image, signature);
      expect(authenticodeSha256(signed)).toBe(authenticodeSha256(image));
      expect(Buffer.from(withoutSignatures(signed))).toEqual(image);
    }),
  );
});

test('one flipped bit of the program is another digest', () => {
  const image = makeExecutable();
  const other = Buffer.from(image);
  other[0x400] = (other[0x400] ?? 0) ^ 1;
  expect(authenticodeSha256(other)).not.toBe(authenticodeSha256(image));
});

test('more sections than there is room for in the headers are refused', () => {
  const sections = Array.from({ length: 40 }, () => ({ name: '.s', bytes: new Uint8Array(1) }));
  expect(() => addSections(makeExecutable(), sections)).toThrow(
    expect.objectContaining({ code: 'NO_ROOM' }),
  );
});

test('bytes that are no executable, or only a part of one, are refused and nothing else', () => {
  const cut = fc.nat(0x600).map((length) => makeExecutable().subarray(0, length));
  const torn = fc
    .tuple(fc.nat(0x180), fc.nat(255))
    .map(([at, value]) => makeExecutable().fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 700 }), cut, torn), (bytes) => {
      for (const look of [readSections, authenticodeSha256, withoutSignatures]) {
        try {
          look(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'NOT_PE' });
        }
      }
    }),
    { numRuns: 1000 },
  );
});
