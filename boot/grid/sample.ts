import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { namedFileSchema } from '../../src/lib/names.ts';
import { MINUTE_MS, SECOND_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import { askBot, type Bot } from './bot.ts';
import type { OnEvent } from './event.ts';

/** The deployment that shows a grid at work: a web server on one node, its client on another. */
export const SAMPLE = { name: 'hello', server: 'web', client: 'client' } as const;

const IMAGE = 'web.erofs';
const PAGE_DEADLINE_MS = 2 * MINUTE_MS;

export type SampleWish = {
  readonly root: string;
  /** Where the deployment's file is written. */
  readonly folder: string;
  readonly bot: Bot;
  /** Where nodes fetch images from. */
  readonly imagesUrl: string;
};

/** Writes the deployment file of the example, with the image that was built here; its path. */
export async function writeSample(wish: SampleWish): Promise<string> {
  const { root, bot } = wish;
  const image = join(root, 'dist/images', IMAGE);
  const args = ['image', image, '--url', `${wish.imagesUrl}/${IMAGE}`];
  const named = await askBot(bot, args, namedFileSchema);
  const text = await readFile(join(root, 'src/bot/examples/hello.yaml'), 'utf8');
  const file = parseDocument(text);
  for (const [key, value] of Object.entries(named)) {
    file.setIn(['containers', SAMPLE.server, 'image', key], value);
  }
  const path = join(wish.folder, `${SAMPLE.name}.yaml`);
  await writeFile(path, String(file));
  return path;
}

export type ShowWish = {
  readonly bot: Bot;
  readonly path: string;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
};

/** Deploys the sample, and waits for the page that its client fetched; throws `BootError`. */
export async function showSample({ bot, path, onEvent, signal }: ShowWish): Promise<string> {
  const told = (subject: string, state: 'running' | 'done', text: string): void =>
    onEvent({ subject, state, text });
  told('deployment', 'running', 'signing the contracts');
  const onLine = (line: string): void => {
    // What happens, each line with its time; the table at the end is for whoever runs the command.
    if (/^ *[\d.]+ (?:s|min)/u.test(line)) told('deployment', 'running', line.trim());
  };
  await bot.zos({ args: ['deploy', path], onLine, signal });
  told('deployment', 'done', `${SAMPLE.name}: its containers run, on two nodes`);
  told('page', 'running', 'asking for the client’s log');
  const page = await waitForPage(bot, signal);
  told('page', 'done', 'fetched by the client through the tunnel');
  return page;
}

const logSchema = z.object({ log: z.string() });

async function waitForPage(bot: Bot, signal: AbortSignal): Promise<string> {
  const deadline = AbortSignal.timeout(PAGE_DEADLINE_MS);
  const args = ['logs', `${SAMPLE.name}/${SAMPLE.client}`];
  for (;;) {
    const { log } = await askBot(bot, args, logSchema);
    const page = firstPage(log);
    if (page !== undefined) return page;
    if (deadline.aborted) {
      const sentence = `The client got no page; its log says: ${log.slice(-500) || 'nothing'}`;
      throw new BootError('PAGE_MISSING', sentence);
    }
    await sleep(SECOND_MS, undefined, { signal });
  }
}

/** The first whole page in the log of a client that prints one after the other. */
export function firstPage(log: string): string | undefined {
  const start = log.search(/<!doctype html>/iu);
  const end = log.indexOf('</html>', start);
  return start === -1 || end === -1 ? undefined : log.slice(start, end + '</html>'.length);
}
