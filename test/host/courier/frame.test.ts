import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  FRAME_BODY_BYTES_MAX,
  FrameReader,
  KIND,
  readCount,
  writeCount,
  writeFrame,
} from '../../../src/host/courier/frame.ts';
import { concatBytes } from '../../../src/lib/bytes.ts';

const frames = fc.array(
  fc.record({
    kind: fc.constantFrom(...Object.values(KIND)),
    errand: fc.nat({ max: 2 ** 32 - 1 }),
    body: fc.uint8Array({ maxLength: 300 }),
  }),
);

test('frames come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat({ max: 400 })), (sent, cuts) => {
      const bytes = concatBytes(
        ...sent.map(({ kind, errand, body }) => writeFrame(kind, errand, body)),
      );
      const reader = new FrameReader();
      const got = [];
      let at = 0;
      for (const length of [...cuts, bytes.length]) {
        got.push(...reader.push(bytes.subarray(at, at + length)));
        at += length;
      }
      expect(got).toEqual(sent);
    }),
  );
});

test('a frame that is too long, or of no kind, is refused before its body is there', () => {
  const long = Buffer.from(writeFrame(KIND.part, 1));
  long.writeUInt32BE(FRAME_BODY_BYTES_MAX + 1);
  expect(() => new FrameReader().push(long)).toThrow('what is no frame');
  const strange = Buffer.from(writeFrame(KIND.part, 1));
  strange.writeUInt8(99, 4);
  expect(() => new FrameReader().push(strange)).toThrow('what is no frame');
});

test('a count is four bytes', () => {
  expect(readCount(writeCount(262_144))).toBe(262_144);
  expect(() => readCount(new Uint8Array(3))).toThrow('4 bytes');
});
