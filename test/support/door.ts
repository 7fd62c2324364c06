import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from '../../src/host/exec.ts';
import { concatBytes } from '../../src/lib/bytes.ts';
import { writeCpio } from '../../src/lib/cpio.ts';
import { SECOND_MS } from '../../src/lib/units.ts';

const INIT_SOURCES = ['first', 'console', 'files', 'module', 'mount', 'supervise'];
const ANSWER_MS = 60 * SECOND_MS;

/**
 * The release's first stage with another `/init` behind it: PID 1 from the very same sources, and
 * the fault door linked to it. The kernel unpacks archives one after the other; the last file wins.
 */
export async function makeDoorFirstStage(root: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const init = join(folder, 'init-with-door');
  const sources = INIT_SOURCES.map((name) => join(root, 'image/init', `${name}.c`));
  const door = join(root, 'test/support/fault-door.c');
  const flags = ['-static', '-std=c17', '-Os', '-D_GNU_SOURCE', '-s', `-I${root}/image/init`];
  await run({ file: 'musl-gcc', args: [...flags, '-o', init, ...sources, door] });
  const release = await readFile(join(root, 'dist/release/initramfs.cpio'));
  const bytes = await readFile(init);
  const change = writeCpio([{ path: 'init', kind: 'file', bytes, isExecutable: true }]);
  const path = join(folder, 'initramfs-with-door.cpio');
  await writeFile(path, concatBytes(release, change));
  return path;
}

/** The other end of the fault door: one order, one line of answer. */
export type Door = Disposable & {
  readonly ask: (order: string) => Promise<string>;
  /** An order after which there may be nobody to answer. */
  readonly tell: (order: string) => void;
};

/** Opens the door at the socket of a machine's second serial port. */
export async function openDoor(path: string): Promise<Door> {
  const socket: Socket = createConnection(path);
  await once(socket, 'connect');
  const lines = createInterface(socket);
  return {
    ask: async (order) => {
      const answer = once(lines, 'line', { signal: AbortSignal.timeout(ANSWER_MS) });
      socket.write(`${order}\n`);
      const [line] = (await answer) as [string];
      return line;
    },
    tell: (order) => void socket.write(`${order}\n`),
    [Symbol.dispose]: () => socket.destroy(),
  };
}
