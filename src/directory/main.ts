import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openTrust } from '../artifact/release/metadata.ts';
import { type Measurements, parseMeasurements } from '../attestation/spec.ts';
import { openLog } from '../host/log.ts';
import { gridSchema } from '../identity/farm.ts';
import { utf8 } from '../lib/bytes.ts';
import { sentenceOf } from '../lib/errors.ts';
import { SECOND_MS } from '../lib/units.ts';
import { formatNoteKey, noteKeyOf } from '../record/note.ts';
import { openMeasurer } from './capacity/measurer.ts';
import { openProver } from './attestation/prover.ts';
import { makeBuckets } from './buckets.ts';
import { StartError } from './errors.ts';
import { openIdentity, openLogKey } from './keys.ts';
import { listenForMetrics } from './metrics/listener.ts';
import { openMetrics } from './metrics/metrics.ts';
import { openNotifier } from './feed/notifier.ts';
import { HELP } from './help.ts';
import { makeServer } from './server.ts';
import { isBackupCommand, runBackupCommand } from './backup/command.ts';
import { makeGate } from './record/gate.ts';
import { claimRecord } from './record/head.ts';
import { composePolicy, type WitnessWish } from './record/policy.ts';
import { openRecord } from './record/record.ts';
import { openTileFolder } from './record/tiles.ts';
import { openStore } from './sql/store.ts';
import type { Store } from './store.ts';
import { checkedStoreUrl, openDatabase } from './stores.ts';

const USAGE =
  'Use: directory --listen HOST:PORT --grid NAME --data FOLDER; --help says what else there is';
/** How long a start waits for the witnesses to say what they saw last. */
const SEEN_WAIT_MS = 5 * SECOND_MS;
const SWEEP_EVERY_MS = SECOND_MS;
const KEYS_MAX = 50_000;

const EXIT_STATUS = {
  ARGUMENTS: 2,
  PORT_IN_USE: 3,
  ADDRESS_UNUSABLE: 3,
  DIRECTORY_RUNNING: 4,
  GRID_OTHER: 4,
  KEYS_EXPOSED: 5,
  KEYS_OTHER: 5,
  FOLDER_UNUSABLE: 5,
  ROOT_UNUSABLE: 5,
  STORE_UNUSABLE: 6,
  BACKUP_UNUSABLE: 7,
} satisfies Record<StartError['code'], number>;

type Address = { host: string; port: number };

type Options = {
  /** Without an address, the keys are made and told, and that is all. */
  address: Address | undefined;
  /** Where Prometheus asks; nowhere when it was not said. */
  metricsAddress: Address | undefined;
  grid: string;
  folder: string;
  storeUrl: string | undefined;
  rootPath: string | undefined;
  tilesFolder: string;
  wish: WitnessWish;
};

function readOptions(): Options {
  const text = { type: 'string' } as const;
  const [listens, names] = [
    { listen: text, metrics: text, grid: text },
    { data: text, keys: text, root: text, store: text, tiles: text },
  ];
  const witnesses = { witness: { ...text, multiple: true as const }, quorum: text };
  let values: {
    [name in keyof typeof listens | keyof typeof names | 'quorum']?: string;
  } & { witness?: string[] };
  try {
    ({ values } = parseArgs({ options: { ...listens, ...names, ...witnesses } }));
  } catch (cause) {
    throw new StartError('ARGUMENTS', `${sentenceOf(cause)}. ${USAGE}.`);
  }
  const grid = gridSchema.safeParse(values.grid);
  const folder = values.keys ?? values.data;
  const [address, metricsAddress] = [addressOf(values.listen), addressOf(values.metrics)];
  if (address === null || metricsAddress === null || !grid.success || !folder) {
    throw new StartError('ARGUMENTS', `${USAGE}, as in --listen 127.0.0.1:8080 --grid dev.`);
  }
  return {
    address,
    metricsAddress,
    grid: grid.data,
    folder,
    storeUrl: checkedStoreUrl(values.store),
    rootPath: values.root,
    tilesFolder: values.tiles ?? join(folder, 'record'),
    wish: { witnesses: values.witness ?? [], quorum: values.quorum },
  };
}

/** `null` for what is no address. */
function addressOf(text: string | undefined): Address | undefined | null {
  if (text === undefined) return undefined;
  const said = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/u.exec(text)?.groups;
  const [host, port] = [said?.['six'] ?? said?.['host'], Number(said?.['port'])];
  return host === undefined || port > 65_535 ? null : { host, port };
}

/** Opens an address, or throws `StartError` with what is wrong with it. */
async function listen<T>({ host, port }: Address, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    throw code === 'EADDRINUSE'
      ? new StartError('PORT_IN_USE', `Port ${port} is in use; name another with --listen.`)
      : new StartError('ADDRESS_UNUSABLE', `${host} port ${port} can't be listened on (${code}).`);
  }
}

/** The root.json that releases have to follow from: the one that came with the image's keys. */
function readRoot(path: string | undefined): Uint8Array | undefined {
  if (path === undefined) return undefined;
  try {
    const bytes = new Uint8Array(readFileSync(path));
    openTrust(bytes);
    return bytes;
  } catch (cause) {
    throw new StartError('ROOT_UNUSABLE', `${path} is no root.json of a release; check --root.`, {
      cause,
    });
  }
}

/** Of the newest release that was published here, which was checked when it came. */
function measurementsOf(store: Store): () => Promise<Measurements | undefined> {
  return async () => {
    const published = await store.publishedRelease();
    const text = published?.measurements;
    return text == null ? undefined : parseMeasurements(utf8(text));
  };
}

async function start(): Promise<void> {
  const options = readOptions();
  const { grid, folder } = options;
  const trustedRoot = readRoot(options.rootPath);
  const log = openLog('directory');
  const own = openIdentity(folder);
  await using resources = new AsyncDisposableStack();
  const signer = openLogKey(folder, grid);
  const logKey = noteKeyOf(signer.name, 'ed25519', signer.publicKey);
  const keys = { grid, directory: own.id, log: formatNoteKey(logKey) };
  if (options.address === undefined) {
    // Witnesses are named to a directory at its start, and its log to them before that.
    console.log(JSON.stringify(keys));
    return;
  }
  const policy = composePolicy(logKey, options.wish);
  const gate = makeGate();
  const database = await openDatabase(options, gate);
  resources.defer(database.close);
  await database.write(() => claimRecord({ directory: own.id, logKey: formatNoteKey(logKey) }));
  const tiles = openTileFolder(options.tilesFolder);
  const record = openRecord({ database, gate, signer, policy, tiles, log });
  const store = openStore(database, record);
  const notifier = openNotifier();
  store.onChange(notifier.wake);
  const nowMs = (): number => Date.now();
  const byIdentity = makeBuckets({ perSecond: 50, burst: 500, keysMax: KEYS_MAX });
  const byAddress = makeBuckets({ perSecond: 500, burst: 5000, keysMax: KEYS_MAX });
  const prover = openProver({ grid, own, store, measurements: measurementsOf(store), nowMs, log });
  const shown = { grid, own, trustedRoot, store, record };
  const metrics = openMetrics();
  const measurer = openMeasurer({ grid, own, store, nowMs, chance: Math.random, log });
  const directory = { ...shown, notifier, metrics, byIdentity, prover, nowMs, log };
  const app = await makeServer({ directory, byAddress, requestDeadlineMs: 10 * SECOND_MS });
  resources.defer(async () => app.close());
  const sweeper = setInterval(() => {
    store.sweep(nowMs()).catch((error: unknown) => log.error({ error }, 'sweep failed'));
  }, SWEEP_EVERY_MS);
  resources.defer(() => clearInterval(sweeper));
  const ending = new AbortController();
  const publishing = record.run(ending.signal);
  resources.defer(async () => {
    ending.abort();
    await publishing;
  });
  await Promise.race([record.seen, sleep(SEEN_WAIT_MS, undefined, { ref: false })]);
  const { address, metricsAddress } = options;
  const url = await listen(address, async () => app.listen(address));
  const measured =
    metricsAddress === undefined
      ? undefined
      : await listen(metricsAddress, async () => listenForMetrics(metrics, metricsAddress));
  if (measured !== undefined) resources.use(measured);
  for (const worker of [prover, measurer]) void worker.run(ending.signal);
  if (options.wish.witnesses.length === 0) log.warn({}, 'no witness: nobody sees this record');
  const end = Promise.withResolvers<string>();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.resolve(name));
  console.log(JSON.stringify({ listening: url, metrics: measured?.url, ...keys, policy }));
  log.info({ signal: await end.promise }, 'closing');
}

/** The directory itself, or one of the two commands that copy what it keeps. */
async function main(): Promise<void> {
  const [command, ...words] = process.argv.slice(2);
  if (command === '--help' || command === '-h') {
    process.stdout.write(HELP);
    return undefined;
  }
  if (!isBackupCommand(command)) return start();
  console.log(JSON.stringify(await runBackupCommand(command, words)));
}

try {
  await main();
} catch (error) {
  console.error(sentenceOf(error));
  process.exitCode = error instanceof StartError ? EXIT_STATUS[error.code] : 1;
}
