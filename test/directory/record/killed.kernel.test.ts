import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { expect, onTestFinished, test } from 'vitest';
import { all } from '../../../src/directory/database/work.ts';
import { openIdentity, openLogKey } from '../../../src/directory/keys.ts';
import { makeGate } from '../../../src/directory/record/gate.ts';
import { entryIn } from '../../../src/directory/record/head.ts';
import { policyOf } from '../../../src/directory/record/policy.ts';
import { numberIn } from '../../../src/directory/sql/rows.ts';
import { sha256Hex, utf8 } from '../../../src/lib/bytes.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { type Entry, leafHashOf } from '../../../src/record/entry.ts';
import { noteKeyOf } from '../../../src/record/note.ts';
import { EMPTY_EDGE, growEdge, headOf } from '../../../src/record/tile.ts';
import { formatTlogProof } from '../../../src/record/tlog-proof.ts';
import { verifyCheckpoint, verifyTlogProof } from '../../../src/record/verify.ts';
import { openTestRecord, settle } from '../../support/record/directory-record.ts';
import type { MortalWish } from '../../support/record/mortal-sequencer.ts';
import { WITNESSES } from '../../support/record/signers.ts';
import { openKeptDatabase } from '../../support/record/kept-database.ts';
import { openPostgresServer } from '../../support/store/postgres.ts';
import { openWitness, type WitnessServer } from '../../support/record/witness-server.ts';

/** On each store: a thousand in all. */
const KILLS = 500;
/** The steps of about four publications; each life dies at another. */
const STEPS = 40;
/** What a killed process wrote to a file is there, flushed to a disk or not: memory is faster. */
const MEMORY = '/dev/shm';
/** Two or three on two cores that do nothing else. */
const MINUTES_MS_MAX = 30 * MINUTE_MS;
const LIFE_MS_MAX = 60_000;

/** Modules of the older kind ask for others by it. */
const REQUIRE =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

test(
  'killed 500 times anywhere on SQLite: nothing accepted is lost, no second history',
  async () => {
    expect(Math.min(...(await killOver([null, null])))).toBeGreaterThan(KILLS / 2);
  },
  MINUTES_MS_MAX,
);

test(
  'killed 500 times anywhere on PostgreSQL: nothing accepted is lost, no second history',
  async () => {
    // The server goes on while directories die: what they committed is there, flushed or not.
    await using server = await openPostgresServer({ isDurable: false });
    const urls = [await server.makeDatabase(), await server.makeDatabase()];
    expect(Math.min(...(await killOver(urls)))).toBeGreaterThan(KILLS / 2);
  },
  MINUTES_MS_MAX,
);

/** Directories side by side, for there are two cores; what each accepted was there in the end. */
async function killOver(urls: readonly (string | null)[]): Promise<number[]> {
  return Promise.all(
    urls.map(async (url) => {
      const setting = await openSetting(url);
      const accepted = new Set<string>();
      for (let life = 0; life < KILLS / urls.length; life += 1) {
        for (const name of await live(setting, life)) accepted.add(name);
        if (life % 50 === 49) await check(setting, accepted);
      }
      return accepted.size;
    }),
  );
}

type Setting = {
  readonly folder: string;
  readonly url: string | null;
  readonly program: string;
  readonly witnesses: readonly WitnessServer[];
};

async function openSetting(url: string | null): Promise<Setting> {
  const folder = mkdtempSync(join(MEMORY, 'zos-killed-'));
  const program = join(folder, 'program.mjs');
  const entry = new URL('../../support/record/mortal-sequencer.ts', import.meta.url).pathname;
  await build({
    entryPoints: [entry],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    banner: { js: REQUIRE },
    external: ['pg-native'],
    logLevel: 'error',
  });
  const { name, publicKey } = openLogKey(folder, 'test');
  const key = noteKeyOf(name, 'ed25519', publicKey);
  const witnesses = await Promise.all(WITNESSES.map(async (signer) => openWitness(signer, key)));
  onTestFinished(async () => {
    for (const witness of witnesses) await witness[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  return { folder, url, program, witnesses };
}

/** One life of the process, and what was accepted in it. */
async function live(setting: Setting, life: number): Promise<string[]> {
  const { folder, url, program, witnesses } = setting;
  // By a step of its own, at a moment when a witness holds its head, or at any time at all.
  const way = life % 4;
  const step = way < 2 ? 1 + (Math.floor(life / 2) % STEPS) : null;
  const wish: MortalWish = {
    folder,
    url,
    life,
    step,
    witnesses: witnesses.map((witness) => witness.wish),
  };
  const child = spawn(process.execPath, [program, JSON.stringify(wish)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { NODE_COMPILE_CACHE: join(folder, 'cache') },
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => {
    child.once('close', (_, signal) => resolve(signal));
  });
  let out = '';
  let asks = 0;
  child.stdout.on('data', (part) => {
    const isReady = out === '';
    out += String(part);
    if (isReady && way === 3) void sleep(life % 97).then(() => child.kill('SIGKILL'));
  });
  for (const witness of witnesses) {
    witness.onStep = () => {
      asks += 1;
      if (way === 2 && asks === 1 + (life % 24)) child.kill('SIGKILL');
    };
  }
  const late = setTimeout(() => child.kill('SIGTERM'), LIFE_MS_MAX);
  expect({ life, signal: await ended }).toEqual({ life, signal: 'SIGKILL' });
  clearTimeout(late);
  // A line that is not whole was never told.
  return out
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== 'ready');
}

/** Opens what the dead left, and holds all of it against what they told. */
async function check(setting: Setting, accepted: ReadonlySet<string>): Promise<void> {
  const { folder, url, witnesses } = setting;
  const gate = makeGate();
  await using resources = new AsyncDisposableStack();
  const database = await openKeptDatabase({ folder, url, recorder: gate });
  resources.defer(database.close);
  const silent = (): void => undefined;
  const record = await openTestRecord({
    folder,
    grid: 'test',
    own: openIdentity(folder),
    database,
    gate,
    witnesses: witnesses.map(({ wish }) => wish),
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
  const ending = new AbortController();
  const running = record.run(ending.signal);
  resources.defer(async () => {
    ending.abort();
    await running;
  });
  await record.seen;
  await settle(database);
  const rows = await database.read(all('SELECT * FROM record_entries ORDER BY idx'));
  const entries: Entry[] = rows.map((row) => entryIn(row));
  expect(rows.map((row) => numberIn(row, 'idx'))).toEqual(rows.map((_, at) => at));
  const published = await record.published();
  const policy = policyOf(record.policy);
  const { head } = verifyCheckpoint(published.checkpoint ?? new Uint8Array(), policy);
  const grown = growEdge(
    EMPTY_EDGE,
    entries.map((entry) => leafHashOf(entry)),
  );
  expect(headOf(grown.edge)).toEqual(head);
  // Each write is there with both of its entries, or not at all; none that was told is missing.
  const places = new Map(entries.map(({ digest }, at) => [digest, at]));
  const farms = await database.read(all('SELECT name FROM farms'));
  const kept = new Set(farms.map((row) => String(row['name'])));
  for (const name of accepted)
    expect({ name, isKept: kept.has(name) }).toEqual({ name, isKept: true });
  expect(entries).toHaveLength(kept.size * 2);
  for (const name of kept) {
    const digests = [`farm ${name}`, `word ${name}`].map((text) => sha256Hex(utf8(text)));
    expect(digests.every((digest) => places.has(digest))).toBe(true);
  }
  const seqs = entries.flatMap(({ to }) => (to === undefined ? [] : [to.seq]));
  expect(seqs).toEqual(seqs.map((_, at) => at + 1));
  for (const index of [0, 1, Math.floor(head.size / 2), head.size - 2, head.size - 1]) {
    const proof = formatTlogProof(await record.prove(index, published));
    verifyTlogProof(proof, leafHashOf(entries[index] as Entry), policy);
  }
  expect(witnesses.map((witness) => witness.forks())).toEqual(witnesses.map(() => 0));
}
