import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';
import { BotError } from '../errors.ts';
import { KiB } from '../../lib/units.ts';
import { plain } from '../terminal.ts';
import { deploymentFileSchema, deploymentOf, type Deployment } from './spec.ts';
import { nearest } from './suggest.ts';

const TEXT_LENGTH_MAX = 256 * KiB;
const FAULTS_MAX = 10;
const QUOTED_LENGTH_MAX = 90;

/** Something wrong in a file, where, and what to write instead. */
export type Fault = {
  readonly line: number;
  readonly column: number;
  /** Such as `containers.web.memory`; empty for the whole file. */
  readonly field: string;
  readonly message: string;
};

type Source = {
  readonly text: string;
  readonly lines: LineCounter;
  readonly document: Document.Parsed;
};

/** A deployment from the text of a YAML or JSON file; throws `BotError` that names each line. */
export function parseDeployment(file: string, text: string): Deployment {
  if (text.length > TEXT_LENGTH_MAX) {
    throw new BotError('FILE_INVALID', `${file} is longer than 256 KiB; split the deployment.`);
  }
  const lines = new LineCounter();
  // YAML 1.2 (yaml.org/spec/1.2.2), core schema: `on` and `no` stay words, and no key stands twice.
  const document = parseDocument(text, { lineCounter: lines, version: '1.2', uniqueKeys: true });
  const source = { text, lines, document };
  const broken = [...document.errors, ...document.warnings].map((error) => ({
    ...positionAt(source, error.pos[0]),
    field: '',
    message: sentence(error.message.split(' at line ')[0]?.split('\n')[0] ?? 'is not YAML'),
  }));
  if (broken.length > 0) throw invalid(file, text, broken);
  const parsed = deploymentFileSchema.safeParse(valueOf(file, source));
  if (parsed.success) return deploymentOf(parsed.data);
  const faults = parsed.error.issues.flatMap((issue) => faultsOf(source, issue));
  throw invalid(file, text, faults);
}

function valueOf(file: string, source: Source): unknown {
  try {
    // An alias repeats what it names: a few lines could otherwise unfold to gigabytes.
    return source.document.toJS({ maxAliasCount: 20 });
  } catch (cause) {
    const fault = { line: 1, column: 1, field: '', message: 'too many aliases; write them out.' };
    throw Object.assign(invalid(file, source.text, [fault]), { cause });
  }
}

function invalid(file: string, text: string, faults: readonly Fault[]): BotError {
  const told = inOrder(faults);
  const shown = told.slice(0, FAULTS_MAX).map((fault) => describe(file, text, fault));
  const more = told.length - shown.length;
  if (more > 0) shown.push(`and ${more} more.`);
  return new BotError('FILE_INVALID', shown.join('\n'), { facts: { file, faults } });
}

/** From top to bottom, and only the first of what is wrong with one thing. */
function inOrder(faults: readonly Fault[]): Fault[] {
  const first = new Map<string, Fault>();
  for (const fault of faults) {
    const key = `${fault.line}:${fault.column}:${fault.field}`;
    if (!first.has(key)) first.set(key, fault);
  }
  return [...first.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

function describe(file: string, text: string, fault: Fault): string {
  const { line, column, field, message } = fault;
  const what = field === '' ? message : `${field}: ${message}`;
  const source = plain(text.split('\n')[line - 1]?.trimEnd() ?? '');
  // Of a long line, such as JSON without line breaks, the part around the fault.
  const start = Math.max(0, Math.min(column - 40, source.length - QUOTED_LENGTH_MAX));
  const quoted = source.slice(start, start + QUOTED_LENGTH_MAX);
  const number = String(line);
  const gutter = ' '.repeat(number.length);
  const caret = `${' '.repeat(column - 1 - start)}^`;
  return `${file}:${line}:${column}: ${what}\n  ${number} | ${quoted}\n  ${gutter} | ${caret}`;
}

type Issue = z.core.$ZodIssue;

function faultsOf(source: Source, issue: Issue): Fault[] {
  const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      ...keyPosition(source, [...path, key]),
      field: fieldOf([...path, key]),
      message: unknownKey(key, path),
    }));
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? 'not a name';
    return [{ ...keyPosition(source, path), field: fieldOf(path), message: sentence(message) }];
  }
  const value: unknown = source.document.getIn(path);
  if (value === undefined) {
    const name = String(path.at(-1) ?? '');
    const message = name === '' ? 'the file is empty.' : `${name} is missing; ${hint(path)}`;
    const parent = path.slice(0, -1);
    return [{ ...keyPosition(source, parent), field: fieldOf(parent), message }];
  }
  const position = valuePosition(source, path);
  return [{ ...position, field: fieldOf(path), message: messageOf(issue, value) }];
}

function messageOf(issue: Issue, value: unknown): string {
  if (issue.code === 'invalid_format' && issue.format === 'url') {
    return 'write an http:// or https:// address.';
  }
  if (issue.code !== 'invalid_type') return sentence(issue.message);
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  if (issue.expected === 'string' && isPlain) return `write it in quotes: "${value}".`;
  return `here stands ${kindOf(value)}; ${EXPECTED[issue.expected] ?? issue.expected} is wanted.`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (isMap(value)) return 'a map';
  return isNode(value) ? 'a list' : JSON.stringify(value);
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list such as [a, b]',
  record: 'a map such as {}',
  object: 'a map such as {}',
};

function unknownKey(key: string, path: readonly (string | number)[]): string {
  const known = knownKeys(deploymentFileSchema, path);
  const near = nearest(key, known);
  if (near !== undefined) return `there is no field "${key}"; did you mean "${near}"?`;
  if (known.length === 0) return `there is no field "${key}"; leave it out.`;
  return `there is no field "${key}"; known here: ${known.join(', ')}.`;
}

function hint(path: readonly (string | number)[]): string {
  const schema = schemaAt(deploymentFileSchema, path);
  const description = schema?.description;
  return description === undefined ? 'add it.' : `it says: ${description}`;
}

function knownKeys(root: z.ZodType, path: readonly (string | number)[]): string[] {
  const schema = schemaAt(root, path);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.keys(schema.shape).filter((key) => key !== '$schema');
}

function schemaAt(root: z.ZodType, path: readonly (string | number)[]): z.ZodType | undefined {
  let schema: unknown = root;
  for (const part of path) {
    schema = unwrapped(schema);
    if (schema instanceof z.ZodObject) schema = schema.shape[part];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return undefined;
  }
  const found = unwrapped(schema);
  return found instanceof z.ZodType ? found : undefined;
}

function unwrapped(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema;
}

type Position = { readonly line: number; readonly column: number };

function positionAt(source: Source, offset: number): Position {
  const { line, col } = source.lines.linePos(Math.min(offset, source.text.length));
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function valuePosition(source: Source, path: readonly (string | number)[]): Position {
  const node: unknown = path.length === 0 ? source.document.contents : nodeAt(source, path);
  return positionAt(source, (isNode(node) ? node.range?.[0] : undefined) ?? 0);
}

/** Where the key stands, which is where a person looks when the value is a block below it. */
function keyPosition(source: Source, path: readonly (string | number)[]): Position {
  const last = path.at(-1);
  const parent = path.length <= 1 ? source.document.contents : nodeAt(source, path.slice(0, -1));
  if (typeof last !== 'string' || !isMap(parent)) return valuePosition(source, path);
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
  const key = pair?.key;
  return positionAt(source, (isNode(key) ? key.range?.[0] : undefined) ?? 0);
}

function nodeAt(source: Source, path: readonly (string | number)[]): unknown {
  return source.document.getIn(path, true);
}

function fieldOf(path: readonly (string | number)[]): string {
  return path.map(String).join('.');
}

function sentence(message: string): string {
  return /[.?!]$/.test(message) ? message : `${message}.`;
}
