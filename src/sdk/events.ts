import { concatBytes, textOf } from '../lib/bytes.ts';
import { ZosError } from '../lib/errors.ts';

export class EventError extends ZosError<'EVENT_TOO_LONG' | 'EVENT_NOT_UTF8'> {}

/** One event of a stream: `id` is the last that the stream said, `data` its lines. */
export type StreamEvent = { readonly id: string; readonly data: string };

const [LINE_FEED, CARRIAGE_RETURN] = [0x0a, 0x0d];

/**
 * The events of a `text/event-stream` (WHATWG HTML section 9.2.6), as far as we use it: `id` and
 * `data`, and comments, which are skipped. Holds `eventBytesMax` at most; throws `EventError`.
 */
export async function* readEvents(
  chunks: AsyncIterable<Uint8Array>,
  eventBytesMax: number,
): AsyncGenerator<StreamEvent> {
  let id = '';
  let data: string[] = [];
  let lengthBytes = 0;
  for await (const line of readLines(chunks, eventBytesMax)) {
    if (line === '') {
      if (data.length > 0) yield { id, data: data.join('\n') };
      data = [];
      lengthBytes = 0;
      continue;
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?)?(.*)$/su.exec(line) ?? [];
    if (name === 'id') id = value;
    if (name !== 'data') continue;
    lengthBytes += value.length;
    if (lengthBytes > eventBytesMax) throw tooLong(eventBytesMax);
    data.push(value);
  }
}

async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const line = concatBytes(...parts, chunk.subarray(start, end));
      if (line.length > lineBytesMax) throw tooLong(lineBytesMax);
      yield decode(line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line);
      parts = [];
      lengthBytes = 0;
      start = end + 1;
    }
    lengthBytes += chunk.length - start;
    if (lengthBytes > lineBytesMax) throw tooLong(lineBytesMax);
    parts.push(chunk.slice(start));
  }
}

function decode(line: Uint8Array): string {
  try {
    return textOf(line);
  } catch (cause) {
    throw new EventError('EVENT_NOT_UTF8', 'The feed is not UTF-8.', { cause });
  }
}

function tooLong(bytesMax: number): EventError {
  return new EventError('EVENT_TOO_LONG', `The feed sent more than ${bytesMax} bytes at once.`);
}
