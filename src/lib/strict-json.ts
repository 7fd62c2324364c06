import { ZosError } from './errors.ts';
import { textOf } from './bytes.ts';

export class JsonError extends ZosError<
  'JSON_TOO_LONG' | 'JSON_TOO_DEEP' | 'JSON_NOT_UTF8' | 'JSON_SYNTAX' | 'JSON_DUPLICATE_KEY'
> {}

export type JsonLimits = { readonly bytesMax: number; readonly depthMax: number };

/**
 * JSON (RFC 8259) as it may enter from outside: bounded in length and depth, valid UTF-8, and with
 * no key twice in one object, where `JSON.parse` would quietly take the last one and let two
 * readers
 * of the same signed bytes see two contracts. Throws `JsonError`.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (bytes.length > limits.bytesMax) {
    throw new JsonError(
      'JSON_TOO_LONG',
      `It is longer than the ${limits.bytesMax} bytes allowed.`,
      {
        facts: { lengthBytes: bytes.length },
      },
    );
  }
  const text = decode(bytes);
  // Depth first: it is found without recursion, so nothing nested too deep reaches the parser.
  refuseDeep(text, limits.depthMax);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new JsonError('JSON_SYNTAX', 'It is not JSON; check what wrote it.', { cause });
  }
  refuseDuplicateKeys(text);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return textOf(bytes);
  } catch (cause) {
    throw new JsonError('JSON_NOT_UTF8', 'It is not UTF-8; JSON has to be.', { cause });
  }
}

/** Walks strings and punctuation only; right for any text, valid JSON or not. */
function* punctuation(text: string): Generator<{ mark: string; start: number; end: number }> {
  const marks = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gsu;
  for (const match of text.matchAll(marks)) {
    yield { mark: match[0], start: match.index, end: match.index + match[0].length };
  }
}

function refuseDeep(text: string, depthMax: number): void {
  let depth = 0;
  for (const { mark } of punctuation(text)) {
    if (mark === '{' || mark === '[') depth += 1;
    else if (mark === '}' || mark === ']') depth -= 1;
    if (depth > depthMax) {
      throw new JsonError('JSON_TOO_DEEP', `It is nested deeper than ${depthMax} levels.`);
    }
  }
}

/** Runs after `JSON.parse`, so the grammar holds and a string before a colon is a key. */
function refuseDuplicateKeys(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const { mark } of punctuation(text)) {
    if (mark === '{') open.push(new Set());
    else if (mark === '[') open.push(undefined);
    else if (mark === '}' || mark === ']') open.pop();
    else if (mark === ':') {
      const keys = open.at(-1);
      const key = String(JSON.parse(last));
      if (keys?.has(key) === true) {
        throw new JsonError('JSON_DUPLICATE_KEY', `The key ${last} stands twice in one object.`);
      }
      keys?.add(key);
    }
    last = mark;
  }
}
