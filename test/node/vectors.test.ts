import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { opensWith } from '../../src/contract/checks/body.ts';
import { openContractStore } from '../../src/contract/store.ts';
import type { Wants } from '../../src/contract/wants.ts';
import { type Envelope, parseEnvelope } from '../../src/identity/envelope.ts';
import { fromBase64, utf8 } from '../../src/lib/bytes.ts';
import { openHoldings } from '../../src/node/holdings.ts';
import { openRecordStore } from '../../src/node/record/store.ts';
import { openWatch } from '../../src/node/record/watch.ts';
import { wishesOf } from '../../src/node/wishes.ts';
import { parsePolicy } from '../../src/record/policy.ts';
import type { Vector } from '../support/contract/vector.ts';
import { VECTORS } from '../support/contract/write.ts';

const folder = mkdtempSync(join(tmpdir(), 'zos-vectors-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Those that a node can be handed which holds nothing yet and heard of no cancellation. */
const vectors = readdirSync(VECTORS).flatMap((name): [string, Vector][] => {
  const vector = JSON.parse(readFileSync(join(VECTORS, name), 'utf8')) as Vector;
  const { held, isCancelled, usedByOthers } = vector.node;
  const isPlain =
    held === null && !isCancelled && Object.values(usedByOthers).every((used) => used === 0);
  return isPlain && vector.spacesBefore === undefined ? [[name, vector]] : [];
});

/** What the node of a vector makes of it, as a directory hands it over. */
async function handOver(name: string, vector: Vector) {
  const { node, grid, seq, proof, body, tenant } = vector;
  const here = join(folder, name);
  const watch = await openWatch({
    policy: parsePolicy(utf8(node.policy)),
    store: await openRecordStore(`${here}/record`),
    nowMs: () => node.nowMs,
    say: () => undefined,
    onCalm: () => undefined,
  });
  const bad: string[] = [];
  const holdings = await openHoldings({
    store: await openContractStore(`${here}/contracts`),
    grid,
    node: node.id,
    standing: () => new Map(Object.entries(node.offers)),
    opens: opensWith(fromBase64(node.sealingSecret) ?? new Uint8Array()),
    total: node.total,
    class: node.class,
    watch,
    onBad: (what) => bad.push(what),
  });
  const contract = envelopeIn(vector.contract);
  const carried =
    contract === undefined ? [] : [{ contract, tenant, body, seq: seq ?? undefined, proof }];
  const nothing = { cancellations: [], peers: [], questions: [] };
  const wants: Wants = { revision: 1, contracts: carried, ...nothing };
  await holdings.take(wants, node.nowMs);
  const { items } = wishesOf({
    node: node.id,
    contracts: [...holdings.held.values()],
    nowMs: node.nowMs,
    isClockSynced: true,
    mayStart: true,
    fetchOf: () => ({ isFetched: true, fetchedBytes: 0, failure: null }),
    endOf: () => undefined,
    volumes: { disks: [], found: [], isOver: () => false },
  });
  const kept = readdirSync(`${here}/contracts`);
  return { holdings, kept, kinds: [...items.values()].map(({ kind }) => kind), bad, carried };
}

function envelopeIn(text: string): Envelope | undefined {
  try {
    return parseEnvelope(utf8(text));
  } catch {
    return undefined;
  }
}

test.each(vectors.filter(([, { is }]) => is === 'bad'))(
  'no contract, no container: %s',
  async (name, vector) => {
    const { holdings, kept, kinds, carried } = await handOver(name, vector);
    expect([...holdings.held.keys()]).toEqual([]);
    expect(kept).toEqual([]);
    expect(kinds).toEqual(['firewall']);
    // What can be handed over at all is told of, by the code that the vector names.
    const codes = [...holdings.refused.values()].map(({ code }) => code);
    expect(codes).toEqual(carried.length > 0 ? [vector.expect] : []);
  },
);

test.each(vectors.filter(([name, { is }]) => is === 'good' && !name.includes('no-workloads')))(
  'a contract, a container: %s',
  async (name, vector) => {
    const { holdings, kinds } = await handOver(name, vector);
    expect([...holdings.refused.values()]).toEqual([]);
    expect(kinds).toContain('container');
  },
);

test('nothing makes a verified contract but the numbered checks', () => {
  const casts = readdirSync('src', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => /\bas (?:unknown as )?VerifiedContract\b/u.test(readFileSync(path, 'utf8')));
  expect(casts).toEqual(['src/contract/verify.ts']);
});
