import { z } from 'zod';
import type { Identity } from '../../identity/document.ts';
import {
  type Envelope,
  openEnvelope,
  parsePayload,
  type PayloadKind,
  payloadTypeOf,
  untrustedPayload,
} from '../../identity/envelope.ts';
import { sha256Hex } from '../../lib/bytes.ts';
import { codeOf, sentenceOf, ZosError } from '../../lib/errors.ts';
import { sha256Schema } from '../../lib/names.ts';
import type { Entry } from '../../record/entry.ts';
import { type OpenBook, type Span, takeDocument, takeName } from './book.ts';
import type { Fault } from './store.ts';

class EntryError extends ZosError<'ENVELOPE_OTHER' | 'SIGNER_UNNAMED' | 'KIND_UNKNOWN'> {}

type Signer = 'directory' | 'farmer' | 'node' | 'tenant';

/** What stands on the record, and which field of it names who signed it, or the directory. */
const SIGNERS: Readonly<Partial<Record<PayloadKind, Signer>>> = {
  farm: 'farmer',
  offer: 'node',
  contract: 'tenant',
  cancellation: 'tenant',
  erasure: 'tenant',
  receipt: 'node',
  'update-policy': 'farmer',
  'farm-terms': 'farmer',
  'node-approval': 'farmer',
  measurement: 'directory',
};

const claimSchema = z.looseObject({
  farmer: sha256Schema.optional(),
  node: sha256Schema.optional(),
  tenant: sha256Schema.optional(),
});

export type EntryCheck = {
  readonly index: number;
  readonly entry: Entry;
  /** What the directory serves for the entry's digest. */
  readonly envelope: Envelope | undefined;
};

export type EntryContext = {
  /** Whose record it is. */
  readonly directory: Identity;
  readonly grid: string;
  /** What the entries before say of people and names; what this one says is written to it. */
  readonly book: OpenBook;
  /** When it was recorded. */
  readonly span: Span;
  /** Throws when there is no identity of this id that holds. */
  readonly identityOf: (id: string) => Promise<Identity>;
};

/** What does not hold of what an entry commits to, or `undefined` when everything does. */
export async function faultOf(
  check: EntryCheck,
  context: EntryContext,
): Promise<Fault | undefined> {
  const { index, entry, envelope } = check;
  const what = `Entry ${index} (${entry.payloadType} ${entry.digest.slice(0, 10)})`;
  if (envelope === undefined) {
    const sentence = `${what}: the directory does not serve what it commits to.`;
    return { index, code: 'ENVELOPE_MISSING', sentence };
  }
  try {
    await requireSigned(check.entry, envelope, context);
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    // What is no refusal of ours is no word on the record either.
    if (code.startsWith('HTTP_') || code === 'UNEXPECTED') throw error;
    return { index, code, sentence: `${what}: ${sentenceOf(error)}` };
  }
}

async function requireSigned(
  entry: Entry,
  envelope: Envelope,
  context: EntryContext,
): Promise<void> {
  const kind = kindOf(entry.payloadType);
  const payload = untrustedPayload(envelope, kind);
  if (sha256Hex(payload) !== entry.digest) {
    throw new EntryError('ENVELOPE_OTHER', 'What is served for it has another hash.');
  }
  if (kind === 'identity') {
    takeDocument(context.book, envelope, context.span);
    return;
  }
  if (kind === 'name') {
    await takeName(context.book, envelope, context);
    return;
  }
  const signer = SIGNERS[kind];
  if (signer === 'directory') {
    openEnvelope(envelope, kind, context.directory.keys);
    return;
  }
  const id = signer === undefined ? undefined : parsePayload(payload, claimSchema)[signer];
  if (id === undefined) throw new EntryError('SIGNER_UNNAMED', 'It names nobody who signed it.');
  openEnvelope(envelope, kind, (await context.identityOf(id)).keys);
}

function kindOf(payloadType: string): PayloadKind {
  const kinds = ['identity', 'name', ...Object.keys(SIGNERS)] as PayloadKind[];
  const kind = kinds.find((each) => payloadTypeOf(each) === payloadType);
  if (kind !== undefined) return kind;
  throw new EntryError('KIND_UNKNOWN', 'This monitor knows no such kind; take a newer one.');
}
