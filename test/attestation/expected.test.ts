import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type BootEvent,
  describeEvent,
  measured,
  parseEventLog,
  pruneEventLog,
  replay,
  replayEvents,
} from '../../src/attestation/event-log.ts';
import { expectedFirstStage, listInUpdate } from '../../src/attestation/expected.ts';
import { concatBytes, sha256Hex, utf8 } from '../../src/lib/bytes.ts';

/** A boot of a real firmware in QEMU, and what its TPM held then. */
const VECTOR = JSON.parse(readFileSync('test/vectors/ovmf-secure-boot.json', 'utf8')) as {
  readonly pcrs: Readonly<Record<string, string>>;
  readonly eventLog: string;
};
const LOG = new Uint8Array(Buffer.from(VECTOR.eventLog, 'base64'));
const { events } = parseEventLog(LOG);

/** The value of a variable that the firmware measured: behind owner, two lengths and its name. */
function valueOf(name: string): Uint8Array {
  const found = events.find((event) => describeEvent(event).startsWith(`variable "${name}"`));
  return (found as BootEvent).content.subarray(32 + name.length * 2);
}

test.each([4, 7, 11])("a firmware's log replays to PCR %d", (register) => {
  expect(replayEvents(events, register)).toBe(VECTOR.pcrs[register]);
});

test('what a firmware measures of its keys is computed from the keys alone', () => {
  const lists = { PK: valueOf('PK'), KEK: valueOf('KEK'), db: valueOf('db') };
  const { pcr7, pcr4 } = expectedFirstStage({ release: 'vector', programs: [], lists });
  expect(replay(pcr7.map(({ sha256 }) => sha256))).toBe(VECTOR.pcrs[7]);
  // What comes before the first program.
  const before = measured(events, 4).slice(0, -1);
  expect(pcr4.map(({ sha256 }) => sha256)).toEqual(before.map(({ sha256 }) => sha256));
});

test('what goes into PCR 11 first is the name of the section with the kernel', () => {
  const [first] = measured(events, 11);
  expect(first?.sha256).toBe(sha256Hex(utf8('.linux\0')));
});

test('a signed change of a variable ends in its new value', () => {
  const certificate = concatBytes(Uint8Array.of(0x0c, 0, 0, 0), new Uint8Array(8));
  const update = concatBytes(new Uint8Array(16), certificate, utf8('the list'));
  expect(listInUpdate(update)).toEqual(utf8('the list'));
});

test('a pruned log says the same of the registers that are left', () => {
  const pruned = pruneEventLog(LOG, [4, 11]);
  const { events: left } = parseEventLog(pruned);
  expect(replayEvents(left, 11)).toBe(VECTOR.pcrs[11]);
  expect(left.every(({ register }) => register === 4 || register === 11)).toBe(true);
  expect(pruned.length).toBeLessThan(LOG.length);
});

test('an event is told in words that nobody else writes', () => {
  expect(events.map(describeEvent)).toContainEqual(expect.stringMatching(/^signed by "db" /u));
  for (const event of events) expect(describeEvent(event)).toMatch(/^[ -~]+$/u);
});
