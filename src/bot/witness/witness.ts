import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sentenceOf } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { BotError } from '../errors.ts';
import type { World } from '../world.ts';
import { openLetterBox } from './letters.ts';
import { makeWitness } from './server.ts';
import { openWitnessStore } from './store.ts';

const REQUEST_DEADLINE_MS = 10 * SECOND_MS;

export type WitnessWish = {
  /** Where its key and memory are. */
  readonly folder: string;
  /** `HOST:PORT`; without it the logs are kept and the command ends. */
  readonly listen: string | undefined;
  readonly name: string | undefined;
  /** Verifier keys of logs, beside those that it watches already. */
  readonly logs: readonly string[];
};

/**
 * Runs a witness until Ctrl-C, and says at its start who it is. A log is named to a running witness
 * by the same command without an address: the memory is one file.
 */
export async function runWitness(world: World, wish: WitnessWish): Promise<void> {
  const { terminal, nowMs, signal } = world;
  const address = wish.listen === undefined ? undefined : addressOf(wish.listen);
  using store = openWitnessStore(wish.folder, wish.name);
  for (const vkey of wish.logs) store.watch(vkey);
  const said = { witness: store.vkey, logs: store.origins() };
  if (address === undefined) {
    terminal.out(`${JSON.stringify(said)}\n`);
    return;
  }
  const tell = (said: Readonly<Record<string, string>>): void =>
    terminal.err(`${JSON.stringify(said)}\n`);
  using box = openLetterBox(wish.folder);
  const server = makeWitness({
    store,
    box,
    nowMs,
    requestDeadlineMs: REQUEST_DEADLINE_MS,
    onAlarm: (sentence) => tell({ alarm: 'HEAD_FORKED', sentence }),
    onFailure: (error) => tell({ failed: 'add-checkpoint', sentence: sentenceOf(error) }),
  });
  const port = await listen(server, address);
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  terminal.out(`${JSON.stringify({ listening: `http://${host}:${port}`, ...said })}\n`);
  if (!signal.aborted) await once(signal, 'abort');
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

type Address = { readonly host: string; readonly port: number };

function addressOf(text: string): Address {
  const found = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/u.exec(text)?.groups;
  const host = found?.['six'] ?? found?.['host'];
  const port = Number(found?.['port']);
  if (host !== undefined && port <= 65_535) return { host, port };
  throw new BotError('USAGE', `--listen takes HOST:PORT such as 127.0.0.1:8100, not "${text}".`);
}

async function listen(server: Server, { host, port }: Address): Promise<number> {
  const listening = once(server, 'listening');
  server.listen(port, host);
  try {
    await listening;
  } catch (cause) {
    const sentence = `${host} port ${port} can't be listened on: ${sentenceOf(cause)}.`;
    throw new BotError('USAGE', sentence, { cause });
  }
  return (server.address() as AddressInfo).port;
}
