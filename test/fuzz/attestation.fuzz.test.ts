import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeEvent, parseEventLog, pruneEventLog } from '../../src/attestation/event-log.ts';
import {
  type Evidence,
  parseEvidence,
  parseMeasurements,
  QUOTED_PCRS,
} from '../../src/attestation/spec.ts';
import {
  checkQuoteSignature,
  parseAttestationKey,
  parseQuote,
} from '../../src/attestation/tpm-structures.ts';
import { RC_TRY_AGAIN } from '../../src/host/tpm/command.ts';
import { pcrSelection, readPcr } from '../../src/host/tpm/pcr.ts';
import { readNv } from '../../src/host/tpm/nv.ts';
import { createAttestationKey, quotePcrs } from '../../src/host/tpm/keys.ts';
import { bigEndian, concatBytes, fromHex, toBase64, utf8 } from '../../src/lib/bytes.ts';
import { fuzz } from '../support/fuzz.ts';
import { eventLogOf, HONEST, measurementsOf, SYSTEM } from '../support/tpm/machine.ts';
import { SHARES } from './shares.ts';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const point = pair.publicKey.export({ format: 'jwk' });
const coordinate = (text = ''): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
const sized = (bytes: Uint8Array): Uint8Array => concatBytes(bigEndian(bytes.length, 2), bytes);
const hex = (text: string): Uint8Array => fromHex(text.replaceAll(' ', '')) ?? new Uint8Array();

const KEY = concatBytes(
  hex('0023 000b 00050472 0000 0010 0018 000b 0003 0010'),
  sized(coordinate(point.x)),
  sized(coordinate(point.y)),
);
const QUOTE = concatBytes(
  hex('ff544347 8018'),
  sized(new Uint8Array(34)),
  sized(new Uint8Array(32)),
  new Uint8Array(25),
  pcrSelection(QUOTED_PCRS),
  sized(new Uint8Array(32)),
);
const RAW = sign('sha256', QUOTE, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
const SIGNATURE = concatBytes(
  hex('0018 000b'),
  sized(RAW.subarray(0, 32)),
  sized(RAW.subarray(32)),
);
const LOG = eventLogOf(HONEST);
const EVIDENCE: Evidence = {
  endorsement: { certificate: toBase64(new Uint8Array(9)), key: toBase64(KEY) },
  activated: SYSTEM,
  attest: toBase64(QUOTE),
  signature: toBase64(SIGNATURE),
  pcrs: { 4: SYSTEM, 7: SYSTEM, 11: SYSTEM, 12: SYSTEM, 13: SYSTEM, 14: SYSTEM },
  eventLog: toBase64(LOG),
  extended: [SYSTEM],
};

test('a quote', async () => {
  expect(
    await fuzz({ name: 'quote', cases: SHARES.quote, seeds: [QUOTE], parse: parseQuote }),
  ).toBeGreaterThan(0);
});

test('the public area of a key that quotes', async () => {
  const seeds = [KEY];
  expect(
    await fuzz({ name: 'key', cases: SHARES.quoteKey, seeds, parse: parseAttestationKey }),
  ).toBeGreaterThan(0);
});

test('the signature of a quote', async () => {
  const key = parseAttestationKey(KEY);
  const parse = (bytes: Uint8Array): void => checkQuoteSignature(QUOTE, bytes, key);
  expect(
    await fuzz({ name: 'signature', cases: SHARES.quoteSignature, seeds: [SIGNATURE], parse }),
  ).toBeGreaterThan(0);
});

test('an event log', async () => {
  const parse = (bytes: Uint8Array): void => {
    for (const event of parseEventLog(bytes).events) describeEvent(event);
    pruneEventLog(bytes, QUOTED_PCRS);
  };
  expect(
    await fuzz({ name: 'event log', cases: SHARES.eventLog, seeds: [LOG], parse }),
  ).toBeGreaterThan(0);
});

test('the evidence of a node', async () => {
  const seeds = [utf8(JSON.stringify(EVIDENCE))];
  expect(
    await fuzz({ name: 'evidence', cases: SHARES.evidence, seeds, parse: parseEvidence }),
  ).toBeGreaterThan(0);
});

test('measurements.json', async () => {
  const seeds = [utf8(JSON.stringify(measurementsOf([])))];
  const parse = parseMeasurements;
  expect(
    await fuzz({ name: 'measurements', cases: SHARES.measurements, seeds, parse }),
  ).toBeGreaterThan(0);
});

/** An answer as a TPM frames it. */
function answerOf(tag: '8001' | '8002', body: Uint8Array): Uint8Array {
  return concatBytes(hex(tag), bigEndian(10 + body.length, 4), bigEndian(0, 4), body);
}

test('the answers of a TPM', async () => {
  const bank = pcrSelection([14]);
  const pcr = concatBytes(bigEndian(1, 4), bank, bigEndian(1, 4), sized(new Uint8Array(32)));
  const withSession = (body: Uint8Array): Uint8Array =>
    concatBytes(bigEndian(body.length, 4), body, hex('0000 01 0000'));
  const nvPublic = concatBytes(hex('01500001 000b 00060006'), hex('0000 0008'));
  const seeds = [
    answerOf('8001', pcr),
    answerOf('8001', concatBytes(sized(nvPublic), sized(new Uint8Array(34)))),
    answerOf('8002', withSession(sized(new Uint8Array(8)))),
    answerOf('8002', withSession(concatBytes(sized(QUOTE), SIGNATURE))),
    answerOf('8002', concatBytes(hex('80000000'), withSession(sized(KEY)))),
    concatBytes(hex('8001 0000000a 0000018b')),
  ];
  const reads = [readPcr, readNv, quoteOf, createAttestationKey] as const;
  let turn = 0;
  const parse = async (bytes: Uint8Array): Promise<void> => {
    turn += 1;
    const read = reads[turn % reads.length] ?? readPcr;
    // The door checks tag, length and response code before anything here is read.
    const framed = concatBytes(bytes, new Uint8Array(Math.max(0, 10 - bytes.length)));
    // Whoever is asked to come back waits for seconds, and reads nothing.
    if (RC_TRY_AGAIN.has(Buffer.from(framed).readUInt32BE(6))) return;
    const tpm = {
      transmit: async () => framed,
      [Symbol.asyncDispose]: async () => undefined,
    };
    await read(tpm, 14).catch((error: unknown) => {
      // Every seed is the answer to one of these, and malformed to the others.
      if (seeds.includes(bytes)) return;
      throw error;
    });
  };
  expect(await fuzz({ name: 'TPM answer', cases: SHARES.tpmAnswer, seeds, parse })).toBeGreaterThan(
    0,
  );
});

async function quoteOf(tpm: Parameters<typeof quotePcrs>[0]): Promise<unknown> {
  const key = { handle: 1, publicArea: KEY };
  return quotePcrs(tpm, key, { nonce: new Uint8Array(32), registers: QUOTED_PCRS });
}
