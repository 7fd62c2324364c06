import { readText, writeDurably } from '../../host/files.ts';

const FILE_BYTES_MAX = 64;

/**
 * Numbers for what the node says, each higher than every one before, whatever the clock does and
 * however often the node starts. Who writes the file can make it skip numbers, or say one again,
 * which the directory and the peers refuse as old.
 */
export async function openSequence(path: string): Promise<(nowMs: number) => Promise<number>> {
  const text = await readText(path, FILE_BYTES_MAX).catch(() => undefined);
  let last = /^[0-9]{1,15}$/u.test(text ?? '') ? Number(text) : 0;
  let turn: Promise<unknown> = Promise.resolve();
  return async (nowMs) => {
    last = Math.max(last + 1, nowMs);
    const seq = last;
    // On the disk before anybody hears it, one write after the other.
    const write = async (): Promise<void> => writeDurably({ path, bytes: String(last) });
    const mine = turn.then(write, write);
    turn = mine;
    await mine;
    return seq;
  };
}
