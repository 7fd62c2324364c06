import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openTrust } from '../artifact/release/metadata.ts';
import { type Measurements, parseMeasurements } from '../attestation/spec.ts';
import { openLog } from '../host/log.ts';
import { gridSchema } from '../identity/farm.ts';
import { utf8 } from '../lib/bytes.ts';
import { sentenceOf } from '../lib/errors.ts';
import { SECOND_MS } from '../lib/units.ts';
import { openProver } from './attestation/prover.ts';
import { makeBuckets } from './buckets.ts';
import { StartError } from './errors.ts';
import { openIdentity } from './keys.ts';
import { openNotifier } from './feed/notifier.ts';
import { makeServer } from './server.ts';
import { NO_RECORD } from './database/database.ts';
import { openSqlite } from './database/sqlite.ts';
import { openStore } from './sql/store.ts';
import type { Store } from './store.ts';

const USAGE = 'Use: directory --listen HOST:PORT --grid NAME --data FOLDER [--root FILE]';
const SWEEP_EVERY_MS = SECOND_MS;
const KEYS_MAX = 50_000;

const EXIT_STATUS = {
  ARGUMENTS: 2,
  PORT_IN_USE: 3,
  ADDRESS_UNUSABLE: 3,
  DIRECTORY_RUNNING: 4,
  GRID_OTHER: 4,
  KEYS_EXPOSED: 5,
  FOLDER_UNUSABLE: 5,
  ROOT_UNUSABLE: 5,
} satisfies Record<StartError['code'], number>;

type Options = {
  host: string;
  port: number;
  grid: string;
  folder: string;
  rootPath: string | undefined;
};

function readOptions(): Options {
  const text = { type: 'string' } as const;
  let values: { listen?: string; grid?: string; data?: string; root?: string };
  try {
    ({ values } = parseArgs({ options: { listen: text, grid: text, data: text, root: text } }));
  } catch (cause) {
    throw new StartError('ARGUMENTS', `${sentenceOf(cause)}. ${USAGE}.`);
  }
  const listen = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/u.exec(
    values.listen ?? '',
  );
  const grid = gridSchema.safeParse(values.grid);
  const port = Number(listen?.groups?.['port']);
  const host = listen?.groups?.['six'] ?? listen?.groups?.['host'];
  if (host === undefined || port > 65_535 || !grid.success || !values.data) {
    throw new StartError('ARGUMENTS', `${USAGE}, as in --listen 127.0.0.1:8080 --grid dev.`);
  }
  return { host, port, grid: grid.data, folder: values.data, rootPath: values.root };
}

async function listen(app: Awaited<ReturnType<typeof makeServer>>, options: Options) {
  const { host, port } = options;
  try {
    return await app.listen({ host, port });
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
  const store = openStore(
    openSqlite({ path: join(folder, 'directory.sqlite'), grid, recorder: NO_RECORD }),
  );
  resources.defer(store.close);
  const notifier = openNotifier();
  store.onChange(notifier.wake);
  const nowMs = (): number => Date.now();
  const byIdentity = makeBuckets({ perSecond: 50, burst: 500, keysMax: KEYS_MAX });
  const byAddress = makeBuckets({ perSecond: 500, burst: 5000, keysMax: KEYS_MAX });
  const prover = openProver({ grid, own, store, measurements: measurementsOf(store), nowMs, log });
  const directory = { grid, own, trustedRoot, store, notifier, byIdentity, prover, nowMs, log };
  const app = await makeServer({ directory, byAddress, requestDeadlineMs: 10 * SECOND_MS });
  resources.defer(async () => app.close());
  const sweeper = setInterval(() => {
    store.sweep(nowMs()).catch((error: unknown) => log.error({ error }, 'sweep failed'));
  }, SWEEP_EVERY_MS);
  resources.defer(() => clearInterval(sweeper));
  const url = await listen(app, options);
  const ending = new AbortController();
  resources.defer(() => ending.abort());
  void prover.run(ending.signal);
  const end = Promise.withResolvers<string>();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.resolve(name));
  console.log(JSON.stringify({ listening: url, grid, directory: own.id }));
  log.info({ signal: await end.promise }, 'closing');
}

try {
  await start();
} catch (error) {
  console.error(sentenceOf(error));
  process.exitCode = error instanceof StartError ? EXIT_STATUS[error.code] : 1;
}
