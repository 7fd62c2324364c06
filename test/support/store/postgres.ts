import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openConnection } from '../../../src/host/net/postgres.ts';

/** Debian's PostgreSQL, a server of this test's own with its data in a folder of its own. */
export type Postgres = AsyncDisposable & {
  readonly folder: string;
  /** A new, empty database, as `--store` takes it. */
  readonly makeDatabase: () => Promise<string>;
  readonly start: () => Promise<void>;
  readonly stop: (signal: 'SIGINT' | 'SIGKILL' | 'SIGQUIT') => Promise<void>;
};

/** It refuses to run as root, so it runs as the user that its package made for it. */
const AS_POSTGRES = ['--reuid=postgres', '--regid=postgres', '--clear-groups', '--'];
const START_MS_MAX = 120_000;

export type PostgresWish = {
  /** Without, commits are not flushed to the disk: for tests of answers, not of what is kept. */
  readonly isDurable?: boolean;
  /** The folder for the server's own one. */
  readonly parent?: string;
};

/** Starts it as it comes, unless it was wished otherwise. */
export async function openPostgresServer({
  isDurable = true,
  parent = tmpdir(),
}: PostgresWish = {}): Promise<Postgres> {
  const { program, folder, cluster } = makeCluster(parent);
  let ended = Promise.resolve();
  let child: ReturnType<typeof spawn> | undefined;
  const urlOf = (database: string): string =>
    `postgres:///${database}?host=${folder}&user=postgres`;
  const start = async (): Promise<void> => {
    const settings = ['-c', 'listen_addresses=', '-c', `unix_socket_directories=${folder}`];
    const loose = isDurable ? [] : ['-c', 'fsync=off', '-c', 'full_page_writes=off'];
    const args = [...AS_POSTGRES, program, '-D', cluster, ...settings, ...loose];
    child = spawn('setpriv', args, { stdio: 'ignore', cwd: '/' });
    ended = new Promise((resolve) => child?.once('close', () => resolve()));
    const untilMs = Date.now() + START_MS_MAX;
    for (;;) {
      try {
        const connection = await openConnection({ url: urlOf('postgres'), name: 'test' });
        await connection.close();
        return;
      } catch (error) {
        if (Date.now() > untilMs) throw error;
        await sleep(50);
      }
    }
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    child?.kill(signal);
    await ended;
  };
  await start();
  let count = 0;
  return {
    folder,
    makeDatabase: async () => {
      count += 1;
      const name = `zos${count}`;
      const connection = await openConnection({ url: urlOf('postgres'), name: 'test' });
      await connection.ask([{ text: `CREATE DATABASE ${name}` }]);
      await connection.close();
      return urlOf(name);
    },
    start,
    stop,
    [Symbol.asyncDispose]: async () => {
      // At once: what is in the folder goes with it.
      await stop('SIGQUIT');
      rmSync(folder, { recursive: true });
    },
  };
}

/** A new cluster whose only way in is a socket in a folder of the user postgres. */
function makeCluster(parent: string): { program: string; folder: string; cluster: string } {
  const [program] = globSync('/usr/lib/postgresql/*/bin/postgres');
  if (program === undefined) throw new Error('PostgreSQL is missing; run "npm run setup".');
  const folder = mkdtempSync(join(parent, 'zos-postgres-'));
  const { uid, gid } = statSync('/var/lib/postgresql');
  chownSync(folder, uid, gid);
  chmodSync(folder, 0o700);
  const cluster = join(folder, 'cluster');
  const initdb = join(program, '..', 'initdb');
  execFileSync('setpriv', [...AS_POSTGRES, initdb, '-D', cluster, '-A', 'trust', '-E', 'UTF8'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    cwd: '/',
  });
  return { program, folder, cluster };
}
