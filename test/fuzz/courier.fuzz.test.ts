import { expect, test } from 'vitest';
import {
  readErrand,
  readFailure,
  readHead,
  writeErrand,
  writeFailure,
  writeHead,
} from '../../src/host/courier/errand.ts';
import { FrameReader, KIND, writeFrame } from '../../src/host/courier/frame.ts';
import { concatBytes, utf8 } from '../../src/lib/bytes.ts';
import { fuzz } from '../support/fuzz.ts';
import { SHARES } from './shares.ts';

const CASES = SHARES.courier / 4;

test('whatever a courier in other hands says is read or refused', async () => {
  const head = writeHead({
    status: 206,
    headers: { 'content-range': 'bytes 0-1/2', x: ['a', 'b'] },
  });
  const failure = writeFailure({ code: 'HTTP_TOO_SLOW', sentence: 'It did not answer in time.' });
  const frames = concatBytes(
    writeFrame(KIND.head, 1, head),
    writeFrame(KIND.part, 1, utf8('some bytes')),
    writeFrame(KIND.fail, 2, failure),
    writeFrame(KIND.pong),
  );
  const errand = writeErrand({
    url: 'http://one.example/v1/grid',
    method: 'POST',
    headers: { authorization: 'x' },
    way: { proxy: null, nameServers: ['10.0.0.1'] },
    headMs: 1,
    idleMs: 0,
  });
  const parse = (bytes: Uint8Array): unknown => new FrameReader().push(bytes);
  const accepted = [
    await fuzz({ name: 'courier frames', cases: CASES, seeds: [frames], parse }),
    await fuzz({ name: 'courier head', cases: CASES, seeds: [head], parse: readHead }),
    await fuzz({ name: 'courier failure', cases: CASES, seeds: [failure], parse: readFailure }),
    await fuzz({ name: 'courier errand', cases: CASES, seeds: [errand], parse: readErrand }),
  ];
  for (const count of accepted) expect(count).toBeGreaterThan(0);
});
