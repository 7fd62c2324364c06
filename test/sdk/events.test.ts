import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../../src/lib/errors.ts';
import { readEvents, type StreamEvent } from '../../src/sdk/events.ts';

async function* inParts(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let start = 0;
  for (const end of ends) {
    yield bytes.subarray(start, end);
    start = end;
  }
}

async function eventsIn(text: string, cuts: readonly number[] = [], bytesMax = 1000) {
  const events: StreamEvent[] = [];
  const chunks = inParts(new Uint8Array(Buffer.from(text)), cuts);
  for await (const event of readEvents(chunks, bytesMax)) events.push(event);
  return events;
}

const TEXT =
  ': hello\n\nid: 1\ndata: {"a":"ü"}\n\n: alive\n\n\ndata: two\r\ndata:  lines\r\n\r\n' +
  'event: other\nretry: 5\nid: 3\ndata\n\ndata: unfinished';

const EVENTS = [
  { id: '1', data: '{"a":"ü"}' },
  { id: '1', data: 'two\n lines' },
  { id: '3', data: '' },
];

test('events come out the same wherever the stream is cut', async () => {
  expect(await eventsIn(TEXT)).toEqual(EVENTS);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), async (cuts) => {
      expect(await eventsIn(TEXT, cuts)).toEqual(EVENTS);
    }),
  );
});

test('a stream without end is cut off, in one line or in many', async () => {
  const long = 'a'.repeat(1001);
  await expect(eventsIn(long).catch(codeOf)).resolves.toBe('EVENT_TOO_LONG');
  await expect(eventsIn(`${long}\n`).catch(codeOf)).resolves.toBe('EVENT_TOO_LONG');
  const lines = `data: ${'a'.repeat(90)}\n`.repeat(12);
  await expect(eventsIn(lines).catch(codeOf)).resolves.toBe('EVENT_TOO_LONG');
});
