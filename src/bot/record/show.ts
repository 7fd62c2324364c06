import { readFile } from 'node:fs/promises';
import type { Envelope } from '../../identity/envelope.ts';
import { fromBase64, sha256Hex, textOf } from '../../lib/bytes.ts';
import { codeOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { type Entry, leafHashOf, parseEntry } from '../../record/entry.ts';
import type { Policy } from '../../record/policy.ts';
import { parseTlogProof } from '../../record/tlog-proof.ts';
import { RecordError } from '../../record/tree.ts';
import { type RecordedEntry, verifyTlogProof } from '../../record/verify.ts';
import { parseEnvelope } from '../../identity/envelope.ts';
import { BotError } from '../errors.ts';
import { openGrid } from '../grid.ts';
import { plain } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { openRecord, required } from './fetch.ts';
import { policyOfFile, recordPolicy } from './policy.ts';

type Shown = {
  readonly entry: Entry;
  readonly place: RecordedEntry;
  readonly envelope: Envelope | undefined;
};

/** `zos record show`: what stands on the record under a digest, proven here. */
export async function showEntry(world: World, digest: string): Promise<void> {
  if (!/^[0-9a-f]{64}$/.test(digest)) {
    const sentence = 'Name an entry by the SHA-256 of its payload: all 64 digits of a contract id.';
    throw new BotError('USAGE', sentence);
  }
  const policy = await recordPolicy(world);
  const { url } = await openGrid(world);
  const source = openRecord(url, world.signal);
  const proof = required(await source.proof(digest), `entry ${digest.slice(0, 10)}`);
  const { entry, place } = provenOf(proof, policy);
  if (entry.digest !== digest) throw other('The directory proved another entry than this one.');
  const envelope = await source.envelope(digest);
  if (envelope !== undefined) requireSame(envelope, entry);
  tell(world, { entry, place, envelope });
}

export type VerifyWish = { readonly path: string; readonly policyPath: string | undefined };

/**
 * `zos record verify`: a `.tlog-proof` file is checked with nobody to ask; an envelope's proof is
 * fetched and checked. Throws what the checks throw.
 */
export async function verifyFile(world: World, wish: VerifyWish): Promise<void> {
  const { path, policyPath } = wish;
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new BotError('FILE_UNREADABLE', `${path} can't be read; check its name.`, { cause });
  });
  const envelope = envelopeOf(bytes);
  const policy =
    policyPath === undefined ? await recordPolicy(world) : await policyOfFile(policyPath);
  if (envelope === undefined) {
    tell(world, { ...provenOf(new Uint8Array(bytes), policy), envelope });
    return;
  }
  const digest = sha256Hex(fromBase64(envelope.payload) ?? new Uint8Array());
  const { url } = await openGrid(world);
  const proof = await openRecord(url, world.signal).proof(digest);
  const { entry, place } = provenOf(required(proof, `entry ${digest.slice(0, 10)}`), policy);
  requireSame(envelope, entry);
  tell(world, { entry, place, envelope });
}

function envelopeOf(bytes: Uint8Array): Envelope | undefined {
  try {
    return parseEnvelope(bytes);
  } catch (error) {
    // A proof is no JSON; what is JSON and no envelope is refused by its own words.
    if (codeOf(error).startsWith('JSON_')) return undefined;
    throw error;
  }
}

/** The entry that a proof brings with it, once the proof holds for it; throws `RecordError`. */
function provenOf(bytes: Uint8Array, policy: Policy): { entry: Entry; place: RecordedEntry } {
  const { extra } = parseTlogProof(bytes);
  if (extra === undefined) throw other('The proof does not say which entry it is of.');
  const entry = parseEntry(extra);
  return { entry, place: verifyTlogProof(bytes, leafHashOf(entry), policy) };
}

function requireSame({ payloadType, payload }: Envelope, entry: Entry): void {
  const digest = sha256Hex(fromBase64(payload) ?? new Uint8Array());
  if (payloadType === entry.payloadType && digest === entry.digest) return;
  throw other('What is served for this entry has another hash than the record says.');
}

function other(sentence: string): RecordError {
  return new RecordError('PROOF_MALFORMED', sentence);
}

function tell(world: World, { entry, place, envelope }: Shown): void {
  const { checkpoint, index } = place;
  const { payloadType, digest, to } = entry;
  const witnesses = checkpoint.cosigned.map(({ key, timeSeconds = 0 }) => ({
    name: key.name,
    atMs: timeSeconds * SECOND_MS,
  }));
  const value = {
    payloadType,
    digest,
    node: to?.node ?? null,
    seq: to?.seq ?? null,
    index,
    origin: checkpoint.origin,
    size: checkpoint.head.size,
    witnesses,
    envelope: envelope ?? null,
  };
  const lines = [
    `${payloadType} ${digest}`,
    ...(to === undefined ? [] : [`for node ${to.node}, its number ${to.seq}`]),
    `entry ${index} of ${checkpoint.head.size} on ${checkpoint.origin}`,
    ...witnesses.map(({ name, atMs }) => `seen by ${name} at ${new Date(atMs).toISOString()}`),
    ...(envelope === undefined ? [] : ['', payloadText(envelope)]),
  ];
  answer(world, value, `${lines.join('\n')}\n`);
}

function payloadText({ payload }: Envelope): string {
  try {
    return plain(textOf(fromBase64(payload) ?? new Uint8Array()));
  } catch {
    return '(no text)';
  }
}
