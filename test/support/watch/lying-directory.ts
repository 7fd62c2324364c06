import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Heartbeat, RecordSeen } from '../../../src/contract/receipt.ts';
import { type Envelope, signEnvelope } from '../../../src/identity/envelope.ts';
import { fromBase64, sha256Hex, toBase64 } from '../../../src/lib/bytes.ts';
import { cosignCheckpoint, formatCheckpoint } from '../../../src/record/checkpoint.ts';
import { type Addressee, entryOf, formatEntry } from '../../../src/record/entry.ts';
import { formatNote, type NoteSigner, signText } from '../../../src/record/note.ts';
import { proveConsistency, proveInclusion } from '../../../src/record/proof.ts';
import { EMPTY_EDGE, encodeBundle, growEdge, parseTilePath } from '../../../src/record/tile.ts';
import { formatTlogProof } from '../../../src/record/tlog-proof.ts';
import { leafHash } from '../../../src/record/tree.ts';
import type { NodeAnswer } from '../../../src/sdk/api.ts';
import type { NameSummary } from '../../../src/sdk/phonebook/api.ts';
import { GRID, makePerson, type Person } from '../contracts.ts';
import { CAPACITY, makeOffer } from '../identity/farm.ts';
import { plainReader, rootOf } from '../record/plain-tree.ts';
import { LOG, policyTextOf, WITNESSES } from '../record/signers.ts';

type Answer = { readonly status: number; readonly body: string | Uint8Array };

/**
 * A directory whose database and log key the test owns: an HTTP server that serves a record as the
 * real one does, and tells whatever else it is told to.
 */
export type LyingDirectory = AsyncDisposable & {
  readonly url: string;
  /** Whom it is by. */
  readonly person: Person;
  /** Every line of the record; a test may change any. */
  readonly lines: Uint8Array[];
  /** What stands behind them, by digest. */
  readonly envelopes: Map<string, Envelope>;
  /** Appends an entry for an envelope, for a node if need be. */
  readonly add: (envelope: Envelope, to?: Addressee) => string;
  /** Shows a head over the lines as they are now, seen by these. */
  readonly publish: (witnesses?: readonly NoteSigner[]) => void;
  /** A node that says this of the record in its heartbeat. */
  readonly say: (node: Person, seen: RecordSeen, atMs: number) => void;
  /** The root of the first `size` lines, in base64. */
  readonly rootOf: (size: number) => string;
  /** The phone book as it is shown. */
  readonly names: NameSummary[];
  /** How often a path was asked for. */
  readonly asked: (path: string) => number;
  /** Answers that come before all others, by path. */
  readonly lies: Map<string, Answer>;
};

type Shown = { checkpoint: Uint8Array; lines: readonly Uint8Array[] };

const MISSING: Answer = {
  status: 404,
  body: JSON.stringify({ code: 'NOT_FOUND', sentence: 'There is nothing here.' }),
};

function json(value: unknown): Answer {
  return value === undefined ? MISSING : { status: 200, body: JSON.stringify(value) };
}

function leavesOf({ lines }: Shown): Uint8Array[] {
  return lines.map((line) => leafHash(line));
}

function tileOf(shown: Shown, path: string): Answer {
  const tile = parseTilePath(path);
  if (tile === undefined) return MISSING;
  const { level, index, width } = tile;
  if (level === 'entries') {
    const some = shown.lines.slice(index * 256, index * 256 + width);
    return some.length === width ? { status: 200, body: encodeBundle(some) } : MISSING;
  }
  const { tiles } = growEdge(EMPTY_EDGE, leavesOf(shown));
  const found = tiles.find(({ tile: it }) => it.level === level && it.index === index);
  return found?.tile.width === width ? { status: 200, body: found.bytes } : MISSING;
}

function proofOf(shown: Shown, digest: string): Answer {
  const index = shown.lines.findIndex((line) => Buffer.from(line).includes(digest));
  const extra = shown.lines[index];
  if (extra === undefined) return MISSING;
  const hashes = proveInclusion(index, shown.lines.length, plainReader(leavesOf(shown)));
  const { checkpoint } = shown;
  return { status: 200, body: formatTlogProof({ index, hashes, checkpoint, extra }) };
}

function growthOf(shown: Shown, query: URLSearchParams): Answer {
  const [from, to] = [Number(query.get('from')), Number(query.get('to'))];
  if (from > to || to > shown.lines.length) return MISSING;
  const isPlain = from === 0 || from === to;
  const reader = plainReader(leavesOf(shown).slice(0, to));
  const proof = isPlain ? [] : proveConsistency(from, to, reader);
  const checkpoint = Buffer.from(shown.checkpoint).toString();
  return json({ checkpoint, proof: proof.map((hash) => toBase64(hash)) });
}

/** A directory that tells the truth until a test has it lie. */
export async function openLyingDirectory(): Promise<LyingDirectory> {
  const person = makePerson('directory');
  const lines: Uint8Array[] = [];
  const envelopes = new Map<string, Envelope>();
  const nodes = new Map<string, NodeAnswer>();
  const names: NameSummary[] = [];
  const lies = new Map<string, Answer>();
  const counts = new Map<string, number>();
  const shown: Shown = { checkpoint: new Uint8Array(), lines: [] };
  const answerTo = (url: URL): Answer => {
    const path = url.pathname;
    const [, part, kind = '', id = ''] = path.split('/');
    if (path === '/v1/grid') return json({ grid: GRID, directory: person.document });
    if (path === '/v1/names') return json({ items: names, next: null });
    if (path === '/v1/nodes') return json({ items: [...nodes.values()], next: null });
    if (part === 'v1' && kind === 'identities') return json(envelopes.get(id));
    if (path === '/record/checkpoint') return { status: 200, body: shown.checkpoint };
    if (path === '/record/policy') return { status: 200, body: policyTextOf(2) };
    if (path === '/record/consistency') return growthOf(shown, url.searchParams);
    if (kind === 'proof') return proofOf(shown, id);
    if (kind === 'envelope') return json(envelopes.get(id));
    return path.startsWith('/record/') ? tileOf(shown, path.slice('/record/'.length)) : MISSING;
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://a');
    counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1);
    const { status, body } = lies.get(url.pathname) ?? answerTo(url);
    response.writeHead(status).end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    person,
    lines,
    envelopes,
    names,
    lies,
    asked: (path) => counts.get(path) ?? 0,
    add: (envelope, to) => {
      const payload = fromBase64(envelope.payload) ?? new Uint8Array();
      const digest = sha256Hex(payload);
      envelopes.set(digest, envelope);
      lines.push(formatEntry(entryOf(envelope.payloadType, payload, to)));
      return digest;
    },
    publish: (witnesses = WITNESSES) => {
      shown.lines = [...lines];
      shown.checkpoint = checkpointOf(shown, witnesses);
    },
    say: (node, seen, atMs) => {
      nodes.set(node.id, nodeAnswer(node, seen, atMs));
    },
    rootOf: (size) => toBase64(rootOf(lines.slice(0, size).map((line) => leafHash(line)))),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function checkpointOf(shown: Shown, witnesses: readonly NoteSigner[]): Uint8Array {
  const head = { size: shown.lines.length, root: rootOf(leavesOf(shown)) };
  const text = formatCheckpoint(LOG.name, head);
  const cosigned = witnesses.map((it) => cosignCheckpoint(text, it, 1_800_000_000));
  return formatNote(text, [signText(text, LOG), ...cosigned]);
}

/** What a directory shows of a node whose heartbeat says this of the record. */
function nodeAnswer(node: Person, record: RecordSeen, atMs: number): NodeAnswer {
  const offer = makeOffer(node);
  const payload: Heartbeat = {
    grid: GRID,
    node: node.id,
    seq: 1,
    atMs,
    bootId: 'boot',
    uptimeMs: 1,
    memory: { totalBytes: 1, availableBytes: 1 },
    system: null,
    addresses: [],
    stages: [],
    keyKept: 'memory',
    agentStarts: 1,
    record,
  };
  return {
    id: node.id,
    state: 'joined',
    farm: null,
    location: null,
    uptime: null,
    measured: null,
    identity: node.document,
    offer,
    offerId: sha256Hex(fromBase64(offer.payload) ?? new Uint8Array()),
    capacity: CAPACITY,
    used: { cpuMillis: 0, memoryBytes: 0, ssdBytes: 0, hddBytes: 0 },
    proof: null,
    heartbeat: {
      lastSeenMs: atMs,
      envelope: signEnvelope('heartbeat', payload, node.keys.signing),
      payload,
    },
  };
}
