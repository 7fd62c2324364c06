import { readFile } from 'node:fs/promises';
import { Resolver } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { KiB, SECOND_MS } from '../../lib/units.ts';
import { run } from '../exec.ts';

const TRY_MS = 3 * SECOND_MS;
const OUTPUT_BYTES_MAX = 64 * KiB;

/** What each name server of the machine says of a name, with how long it took. */
export async function lookUp(name: string, path = '/etc/resolv.conf'): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const servers = [...text.matchAll(/^nameserver\s+(\S+)$/gmu)].map(([, server]) => server ?? '');
  const lines: string[] = servers.length === 0 ? ['The machine was told of no name server.'] : [];
  for (const server of servers.filter((each) => isIP(each) !== 0).slice(0, 3)) {
    const resolver = new Resolver({ timeout: TRY_MS, tries: 1, maxTimeout: TRY_MS });
    resolver.setServers([server]);
    for (const family of [4, 6] as const) {
      const startMs = performance.now();
      const asked = family === 4 ? resolver.resolve4(name) : resolver.resolve6(name);
      const said = await asked.then((all) => all.slice(0, 16).join(' '), codeIn);
      lines.push(`${server} IPv${family}: ${said} (${since(startMs)})`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Whether something takes a connection there, with how long that took; nothing is sent. */
export async function reach(host: string, port: number): Promise<string> {
  const startMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host, port });
  socket.setTimeout(TRY_MS, () => resolve('no answer'));
  socket.once('connect', () => resolve(`reached ${socket.remoteAddress ?? host}`));
  socket.once('error', (error) => resolve(codeIn(error)));
  try {
    return `${host} port ${port}: ${await promise} (${since(startMs)})\n`;
  } finally {
    socket.destroy();
  }
}

/** By which link, neighbour and own address the kernel would send to an address. */
export async function routeTo(address: string): Promise<string> {
  return run({ file: 'ip', args: ['route', 'get', address], outputBytesMax: OUTPUT_BYTES_MAX });
}

/** Links, their addresses, and what passed and was lost on them. */
export async function describeLinks(): Promise<string> {
  return run({
    file: 'ip',
    args: ['-statistics', 'address', 'show'],
    outputBytesMax: OUTPUT_BYTES_MAX,
  });
}

function since(startMs: number): string {
  return `${Math.round(performance.now() - startMs)} ms`;
}

function codeIn(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
