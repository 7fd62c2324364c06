import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { sentenceOf } from '../../lib/errors.ts';
import { formatBytes } from '../../lib/units.ts';
import { type NamedFile, namedFileSchema } from '../../lib/names.ts';
import { BotError } from '../errors.ts';
import { openProgress } from '../terminal.ts';
import { answer, type World } from '../world.ts';

/** Where the superblock of an EROFS image is, and what it begins with (kernel, erofs_fs.h). */
const SUPERBLOCK_OFFSET_BYTES = 1024;
const EROFS_MAGIC = 0xe0f5e1e2;

export type ImageWish = { readonly file: string; readonly urls: readonly string[] };

/** `zos image`: the block that names a root file system in a deployment file. */
export async function printImage(world: World, { file, urls }: ImageWish): Promise<void> {
  const { sha256, lengthBytes } = await measure(world, file);
  const sources = urls.length > 0 ? [...urls] : [`http://HOST/${basename(file)}`];
  const checked = namedFileSchema.safeParse({ sha256, lengthBytes, sources });
  if (!checked.success) {
    const reason = checked.error.issues[0];
    const where = reason?.path.join('.') ?? '';
    throw new BotError('USAGE', `This can't name an image: ${where} ${reason?.message ?? ''}.`);
  }
  answer(world, checked.data, blockOf(checked.data));
}

async function measure(
  world: World,
  file: string,
): Promise<{ sha256: string; lengthBytes: number }> {
  using progress = openProgress(world.terminal, world.nowMs, `reading ${file}`);
  const hash = createHash('sha256');
  let lengthBytes = 0;
  let head = Buffer.alloc(0);
  try {
    for await (const part of createReadStream(file, { signal: world.signal })) {
      const bytes = part as Buffer;
      hash.update(bytes);
      lengthBytes += bytes.length;
      if (head.length < SUPERBLOCK_OFFSET_BYTES + 4) head = Buffer.concat([head, bytes]);
      progress.say(`reading ${file}, ${formatBytes(lengthBytes)}`);
    }
  } catch (cause) {
    if (world.signal.aborted) throw cause;
    throw new BotError('FILE_UNREADABLE', `${file} can't be read: ${sentenceOf(cause)}.`, {
      cause,
    });
  }
  const hasMagic =
    head.length >= SUPERBLOCK_OFFSET_BYTES + 4 &&
    head.readUInt32LE(SUPERBLOCK_OFFSET_BYTES) === EROFS_MAGIC;
  if (!hasMagic) {
    throw new BotError('USAGE', `${file} is not an EROFS image; make one with mkfs.erofs.`);
  }
  return { sha256: hash.digest('hex'), lengthBytes };
}

function blockOf({ sha256, lengthBytes, sources }: NamedFile): string {
  const lines = [
    'image:',
    `  sha256: "${sha256}"`,
    `  lengthBytes: ${lengthBytes}`,
    '  sources:',
    ...sources.map((url) => `    - ${url}`),
  ];
  return `${lines.join('\n')}\n`;
}
