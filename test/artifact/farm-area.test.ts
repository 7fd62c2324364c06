import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  FARM_AREA,
  FARM_AREA_JSON_BYTES_MAX,
  readFarmArea,
  writeFarmArea,
} from '../../src/artifact/farm-area.ts';
import { ArtifactError, parseBootMedia } from '../../src/artifact/spec.ts';
import { utf8 } from '../../src/lib/bytes.ts';

const MEDIA = { grid: 'lab', mirrors: ['http://192.0.2.1'], token: null, farmer: null };
const AREA = writeFarmArea(utf8(JSON.stringify(MEDIA)));

test('what was written is read again, whatever its length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: FARM_AREA_JSON_BYTES_MAX }), (json) => {
      const area = writeFarmArea(json);
      expect(area.length).toBe(FARM_AREA.lengthBytes);
      expect(readFarmArea(area)).toEqual(json);
    }),
  );
});

test('a device without an area is no error, and no area', () => {
  expect(readFarmArea(new Uint8Array(FARM_AREA.lengthBytes))).toBeUndefined();
  expect(readFarmArea(AREA.subarray(0, 100))).toBeUndefined();
  expect(readFarmArea(new Uint8Array())).toBeUndefined();
});

test('a farm file that has no room is refused before it is written', () => {
  const long = new Uint8Array(FARM_AREA_JSON_BYTES_MAX + 1);
  expect(() => writeFarmArea(long)).toThrow(/12237 bytes, and 12236 have room/u);
});

test('one flipped bit anywhere in what counts is refused or makes it no area', () => {
  const usedBytes = 52 + JSON.stringify(MEDIA).length;
  for (let bit = 0; bit < usedBytes * 8; bit += 1) {
    const area = Uint8Array.from(AREA);
    area[bit >> 3] = (area[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(outcomeOf(area), `bit ${bit}`).not.toBe('boots');
  }
});

test('hostile bytes on a device end in a media file, in none, or in a refusal by name', () => {
  const length = fc.oneof(fc.nat(0xffff_ffff), fc.nat(FARM_AREA.lengthBytes));
  const hostile = fc.record({ length, body: fc.uint8Array({ maxLength: 4096 }) }).map((parts) => {
    const area = new Uint8Array(FARM_AREA.lengthBytes);
    area.set(AREA.subarray(0, 16));
    new DataView(area.buffer).setUint32(16, parts.length >>> 0, true);
    area.set(parts.body, 20);
    return area;
  });
  const framed = fc
    .oneof(
      fc.json(),
      fc.string(),
      fc.object().map((value) => JSON.stringify(value)),
    )
    .filter((text) => text !== '' && utf8(text).length <= FARM_AREA_JSON_BYTES_MAX)
    .map((text) => writeFarmArea(utf8(text)));
  const noise = fc.uint8Array({ maxLength: FARM_AREA.lengthBytes });
  fc.assert(
    fc.property(fc.oneof(hostile, framed, noise), (area) => {
      expect(['none', 'refused']).toContain(outcomeOf(area));
    }),
    { numRuns: 20_000 },
  );
});

function outcomeOf(area: Uint8Array): 'boots' | 'none' | 'refused' {
  try {
    const json = readFarmArea(area);
    if (json === undefined) return 'none';
    parseBootMedia(json);
    return 'boots';
  } catch (error) {
    expect(error).toBeInstanceOf(ArtifactError);
    return 'refused';
  }
}
