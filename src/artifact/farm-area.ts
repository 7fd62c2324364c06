import { createHash } from 'node:crypto';
import { concatBytes } from '../lib/bytes.ts';
import { KiB } from '../lib/units.ts';
import { ArtifactError } from './spec.ts';

/**
 * Where a stick, a disk or a disc of a farmer carries its `farm.json`: bytes 20480 to 32767 of the
 * whole device. On a disk they lie between the partition table and the first partition (UEFI 2.10,
 * section 5.3.1: the table ends before byte 20480), on a disc in the 32 KiB that ISO 9660 leaves to
 * the system (ECMA-119, section 6.2.1). So there is one place for all media, no file system is
 * mounted to read it, and an image becomes a farm's by writing these bytes alone.
 *
 * | bytes | what |
 * |---|---|
 * | 0-15 | `ZOS FARM AREA 1` and a line feed |
 * | 16-19 | length of the JSON, little-endian |
 * | 20-51 | SHA-256 of the JSON: of a torn write, not of an attacker |
 * | 52- | the JSON, then zeros |
 */
export const FARM_AREA = { offsetBytes: 20 * KiB, lengthBytes: 12 * KiB } as const;

const MAGIC = new TextEncoder().encode('ZOS FARM AREA 1\n');
const LENGTH_AT = 16;
const DIGEST_AT = 20;
const JSON_AT = 52;

/** The longest `farm.json` that has room in the area. */
export const FARM_AREA_JSON_BYTES_MAX = FARM_AREA.lengthBytes - JSON_AT;

/** The whole area around a `farm.json`; throws `ArtifactError` when that is too long. */
export function writeFarmArea(json: Uint8Array): Uint8Array {
  if (json.length === 0 || json.length > FARM_AREA_JSON_BYTES_MAX) {
    throw refusal(
      'LENGTH_MISMATCH',
      `It has ${json.length} bytes, and ${FARM_AREA_JSON_BYTES_MAX} have room; name fewer mirrors.`,
    );
  }
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, json.length, true);
  const head = concatBytes(MAGIC, length, digestOf(json), json);
  return concatBytes(head, new Uint8Array(FARM_AREA.lengthBytes - head.length));
}

/**
 * The `farm.json` of an area as it was read from a device, still to be parsed; `undefined` when the
 * device carries none. Throws `ArtifactError` when it carries a damaged one.
 */
export function readFarmArea(area: Uint8Array): Uint8Array | undefined {
  if (area.length !== FARM_AREA.lengthBytes) return undefined;
  if (!MAGIC.every((byte, index) => area[index] === byte)) return undefined;
  const lengthBytes = new DataView(area.buffer, area.byteOffset).getUint32(LENGTH_AT, true);
  if (lengthBytes === 0 || lengthBytes > FARM_AREA_JSON_BYTES_MAX) {
    throw refusal('LENGTH_MISMATCH', `It says ${lengthBytes} bytes; write the medium anew.`);
  }
  const json = area.subarray(JSON_AT, JSON_AT + lengthBytes);
  const digest = digestOf(json);
  if (!digest.every((byte, index) => area[DIGEST_AT + index] === byte)) {
    throw refusal('DIGEST_MISMATCH', 'It was written in part, or changed; write the medium anew.');
  }
  return json;
}

function digestOf(json: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(json).digest());
}

function refusal(code: 'LENGTH_MISMATCH' | 'DIGEST_MISMATCH', sentence: string): ArtifactError {
  return new ArtifactError(code, sentence, { facts: { artifact: 'farm.json' } });
}
