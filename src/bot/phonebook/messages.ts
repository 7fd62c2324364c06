import { randomBytes } from 'node:crypto';
import { type Identity, verifyIdentity } from '../../identity/document.ts';
import { fromBase64, toHex } from '../../lib/bytes.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import { openMessage, type OpenedMessage, sealMessage } from '../../phonebook/message.ts';
import { MESSAGE_TEXT_BYTES_MAX } from '../../phonebook/spec.ts';
import type { WaitingMessage } from '../../sdk/phonebook/api.ts';
import { BotError } from '../errors.ts';
import { type Grid, openGrid } from '../grid.ts';
import { readSelf, type Self } from '../store.ts';
import { openProgress, plain, shortId } from '../terminal.ts';
import { answer, type World } from '../world.ts';
import { findName } from './find.ts';
import { readNames, readSeen, writeSeen } from './store.ts';

/** `zos message send`: what stands on standard input, for the eyes of one identity. */
export async function sendMessage(world: World, wanted: string): Promise<void> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  const recipient = await recipientOf(world, grid, wanted);
  const text = await world.input();
  if (text === '' || text.length > MESSAGE_TEXT_BYTES_MAX) {
    const sentence = `Write 1 to ${MESSAGE_TEXT_BYTES_MAX} characters on standard input.`;
    throw new BotError('USAGE', `${sentence} Such as: echo hello | zos message send ${wanted}`);
  }
  const message = {
    grid: grid.name,
    from: self.identity.id,
    to: recipient.id,
    nonce: toHex(randomBytes(16)),
    atMs: world.nowMs(),
    text,
  };
  const signer = self.keys.signing;
  const sealed = sealMessage({ message, signer, sender: self.document, recipient });
  using _progress = openProgress(world.terminal, world.nowMs, `sending to ${wanted}`);
  // Whoever is written to wants to answer.
  await grid.client.putIdentity(self.document);
  await grid.client.postMessage(signingOf(world, grid, self), {
    recipient: recipient.id,
    sealed,
    sender: self.document,
  });
  const value = { to: recipient.id, lengthBytes: sealed.length };
  answer(world, value, `Sent to ${plain(wanted)}, who alone can read it.\n`);
}

async function recipientOf(world: World, grid: Grid, wanted: string): Promise<Identity> {
  if (!/^[0-9a-f]{64}$/u.test(wanted)) return (await findName(world, wanted)).identity;
  return verifyIdentity(await grid.client.identity(wanted), wanted);
}

type Read = {
  readonly message: OpenedMessage;
  readonly receivedMs: number;
  /** The name that this bot found its sender under before. */
  readonly name: string | undefined;
  /** Its sender has other keys by now: whoever has the old ones may have written it. */
  readonly isOutdated: boolean;
};

/** `zos message read`: opens what waits, each message once, and lets the directory forget it. */
export async function readMessages(world: World): Promise<void> {
  const self = await readSelf(world.home);
  const grid = await openGrid(world);
  using progress = openProgress(world.terminal, world.nowMs, 'fetching messages');
  await grid.client.putIdentity(self.document);
  const waiting = await fetchAll(world, grid, self);
  const seen = new Set(await readSeen(world.home));
  const read: Read[] = [];
  const refused: { code: string; sentence: string }[] = [];
  for (const { sealed, receivedMs } of waiting) {
    try {
      const message = openOne(world, { grid, self, sealed });
      if (seen.has(message.digest)) {
        refused.push({
          code: 'MESSAGE_REPLAYED',
          sentence: 'A message came that was read before.',
        });
        continue;
      }
      seen.add(message.digest);
      read.push(await describe(world, grid, { message, receivedMs }));
    } catch (error) {
      if (codeOf(error).startsWith('HTTP_')) throw error;
      refused.push({ code: codeOf(error), sentence: sentenceOf(error) });
    }
  }
  progress.clear();
  for (const { code, sentence } of refused) {
    world.terminal.err(`Not shown: ${sentence} (${code})\n`);
  }
  answer(world, { messages: read.map(valueOf), refused }, textOfAll(read));
  const last = waiting.at(-1);
  if (last === undefined) return;
  // Shown before it is remembered: who is cut off here sees it again, and loses nothing.
  await writeSeen(
    world.home,
    read.map(({ message }) => message),
    world.nowMs(),
  );
  await grid.client.dropMessages(signingOf(world, grid, self), self.identity.id, last.seq);
}

async function fetchAll(world: World, grid: Grid, self: Self): Promise<WaitingMessage[]> {
  const signing = signingOf(world, grid, self);
  const all: WaitingMessage[] = [];
  let cursor: number | null = 0;
  while (cursor !== null) {
    const page: { items: WaitingMessage[]; next: number | null } = await grid.client.messages(
      signing,
      self.identity.id,
      { cursor },
    );
    all.push(...page.items);
    cursor = page.next;
  }
  return all;
}

type Sealed = { readonly grid: Grid; readonly self: Self; readonly sealed: string };

function openOne(world: World, { grid, self, sealed }: Sealed): OpenedMessage {
  return openMessage(fromBase64(sealed) ?? new Uint8Array(), {
    grid: grid.name,
    id: self.identity.id,
    sealingSecret: self.keys.sealing.secretKey,
    nowMs: world.nowMs(),
  });
}

async function describe(
  world: World,
  grid: Grid,
  { message, receivedMs }: Pick<Read, 'message' | 'receivedMs'>,
): Promise<Read> {
  const names = Object.entries(await readNames(world.home));
  const name = names.find(([, { owner }]) => owner === message.from)?.[0];
  const now = verifyIdentity(await grid.client.identity(message.from), message.from);
  const [then, newest] = [message.sender.chain.at(-1)?.digest, now.chain.at(-1)?.digest];
  return { message, receivedMs, name, isOutdated: then !== newest };
}

function signingOf(world: World, grid: Grid, { keys }: Self) {
  return { grid: grid.name, signer: keys.signing, nowMs: world.nowMs };
}

function textOfAll(read: readonly Read[]): string {
  if (read.length === 0) return 'No message waits.\n';
  const texts = read.map(({ message, name, isOutdated }) => {
    const { from, sender, atMs, text } = message;
    const who = name ?? `${shortId(from)}, who goes by ${plain(sender.name)}`;
    const doubt = isOutdated ? ', with keys that were replaced since' : '';
    return `From ${who}, ${new Date(atMs).toISOString()}${doubt}:\n${plain(text).trimEnd()}\n`;
  });
  return texts.join('\n');
}

function valueOf({ message, receivedMs, name, isOutdated }: Read): unknown {
  const { from, atMs, text } = message;
  return { from, name: name ?? null, atMs, receivedMs, isOutdated, text };
}
