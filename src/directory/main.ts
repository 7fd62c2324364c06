import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openLog } from '../host/log.ts';
import { gridSchema } from '../identity/farm.ts';
import { sentenceOf } from '../lib/errors.ts';
import { SECOND_MS } from '../lib/units.ts';
import { openProver } from './attestation/prover.ts';
import { makeBuckets } from './buckets.ts';
import { StartError } from './errors.ts';
import { openIdentity } from './keys.ts';
import { openNotifier } from './notifier.ts';
import { makeServer } from './server.ts';
import { openSqliteStore } from './store-sqlite.ts';

const USAGE = 'Use: directory --listen HOST:PORT --grid NAME --data FOLDER';
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
} satisfies Record<StartError['code'], number>;

type Options = { host: string; port: number; grid: string; folder: string };

function readOptions(): Options {
  const text = { type: 'string' } as const;
  let values: { listen?: string; grid?: string; data?: string };
  try {
    ({ values } = parseArgs({ options: { listen: text, grid: text, data: text } }));
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
  return { host, port, grid: grid.data, folder: values.data };
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

async function start(): Promise<void> {
  const options = readOptions();
  const { grid, folder } = options;
  const log = openLog('directory');
  const own = openIdentity(folder);
  await using resources = new AsyncDisposableStack();
  const store = openSqliteStore({ path: join(folder, 'directory.sqlite'), grid });
  resources.defer(store.close);
  const notifier = openNotifier();
  store.onChange(notifier.wake);
  const nowMs = (): number => Date.now();
  const byIdentity = makeBuckets({ perSecond: 50, burst: 500, keysMax: KEYS_MAX });
  const byAddress = makeBuckets({ perSecond: 500, burst: 5000, keysMax: KEYS_MAX });
  const prover = openProver({ grid, own, store, measurements: () => undefined, nowMs, log });
  const directory = { grid, own, store, notifier, byIdentity, prover, nowMs, log };
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
