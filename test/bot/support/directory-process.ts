import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';

export type DirectoryProcess = AsyncDisposable & {
  readonly url: string;
  readonly pid: number;
  /** Its record's policy. */
  readonly policy: string;
  /** What it logged, a JSON object a line. */
  readonly lines: readonly string[];
  readonly kill: (signal: NodeJS.Signals) => Promise<void>;
};

type DirectoryOptions = {
  readonly grid?: string;
  readonly port?: string;
  readonly rootPath?: string;
  /** As `--store` takes it; without it, SQLite in the folder. */
  readonly storeUrl?: string;
  /** As `--witness` takes them. */
  readonly witnesses?: readonly string[];
};

/** The real directory, as a process of its own, on a free port or the one of before. */
export async function startDirectory(
  folder: string,
  { grid = 'test', port = '0', rootPath = '', storeUrl, witnesses = [] }: DirectoryOptions = {},
): Promise<DirectoryProcess> {
  const args = ['src/directory/main.ts', '--listen', `127.0.0.1:${port}`, '--grid', grid];
  const root = rootPath === '' ? [] : ['--root', rootPath];
  const seen = witnesses.flatMap((witness) => ['--witness', witness]);
  const store =
    storeUrl === undefined ? ['--data', folder] : ['--keys', folder, '--store', storeUrl];
  const child = spawn(process.execPath, [...args, ...store, ...root, ...seen], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines: string[] = [];
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(line));
  await once(reader, 'line');
  const said = (): string | undefined => lines.find((line) => line.includes('"listening"'));
  while (said() === undefined) await once(reader, 'line');
  const { listening, policy } = JSON.parse(said() ?? '') as { listening: string; policy: string };
  const ended = once(child, 'exit');
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    url: listening,
    pid: child.pid ?? Number.NaN,
    policy,
    lines,
    kill,
    [Symbol.asyncDispose]: async () => kill('SIGTERM'),
  };
}

export type Carrier = AsyncDisposable & { readonly url: string };

/** Carries everything to a directory but the second contract, which it refuses in its place. */
export async function refuseSecondContract(url: string): Promise<Carrier> {
  let contracts = 0;
  const carry = (asked: IncomingMessage, answer: ServerResponse): void => {
    const isContract = asked.method === 'POST' && asked.url === '/v1/contracts';
    contracts += isContract ? 1 : 0;
    if (isContract && contracts === 2) {
      asked.resume();
      answer.writeHead(409, { 'content-type': 'application/json' });
      answer.end(JSON.stringify({ code: 'NO_ROOM', sentence: 'No room in the inn.' }));
      return;
    }
    const { method, headers } = asked;
    const carried = request(url + asked.url, { method, headers }, (said) => {
      answer.writeHead(said.statusCode ?? 500, said.headers);
      said.pipe(answer);
    });
    asked.pipe(carried);
  };
  const server = createServer(carry).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
