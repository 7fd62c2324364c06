import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Uefi } from '../../src/host/lab/qemu.ts';
import { readMakerCertificates } from '../../src/host/lab/swtpm.ts';
import { ensureEnrolled } from '../lab/enrolment.ts';
import type { ConsoleLine, GuestWish } from '../lab/guest.ts';
import { type Lab, openLab } from '../lab/lab.ts';
import type { ServeEvent } from '../serve/server.ts';
import { waitOnline } from './bot.ts';
import type { OnEvent } from './event.ts';
import { fetchOf, type GridNode, isTrouble, stageOf, subjectOf, waitRegistered } from './node.ts';
import { buildImage } from './release.ts';
import { openFolder, openServices, type Services } from './services.ts';

export type GridWish = {
  /** The repository. */
  readonly root: string;
  /** For people: what left something behind, if anything did. */
  readonly name: string;
  readonly nodes: number;
  /** How many machines may join, when more are to come than are switched on at first. */
  readonly mayJoin?: number;
  readonly memoryMiB: number;
  /** Of each node's blank data disk; none for nodes that keep everything in memory. */
  readonly diskMiB?: number;
  /** UEFI with Secure Boot, our keys and a TPM, booting this way; the old BIOS without. */
  readonly uefi?: Uefi['network'];
  /** Signs a copy of what was built, and leaves `dist/release` as it is. */
  readonly hasOwnRelease?: boolean;
  /** For keys, databases and logs of this one grid; emptied before, removed after. */
  readonly folder: string;
  /** What an image build may know of this machine, such as `ZOS_DEBIAN_MIRROR`. */
  readonly env: Readonly<Record<string, string>>;
  /** A first stage that machines boot in place of the release's own, once that is built. */
  readonly makeFirstStage?: () => Promise<string>;
  /** Whether machines have a second serial port, as a socket `NODE.serial` in the lab's folder. */
  readonly hasSecondSerial?: boolean;
  /** Whether machines have a display, of which pictures can be taken. */
  readonly hasDisplay?: boolean;
  /** What each machine's own clock says at first, in the order of their names. */
  readonly clocks?: readonly string[];
  readonly onEvent: OnEvent;
  readonly onConsole?: (node: string, line: ConsoleLine) => void;
  readonly signal: AbortSignal;
};

/** A whole grid on this machine: directory, boot server, and nodes that netbooted and joined. */
export type Grid = Services & {
  readonly folder: string;
  readonly lab: Lab;
  readonly nodes: readonly GridNode[];
};

/** The parts of a grid, in the order in which they come up. */
export function subjectsOf(nodes: number): string[] {
  const names = Array.from({ length: nodes }, (_, index) => `node ${index + 1}`);
  return ['image', 'network', 'witnesses', 'directory', 'release', 'farm', 'boot server', ...names];
}

/**
 * Brings a grid up, and answers when every node has joined. Disposing of it takes everything down,
 * last first. Throws `BootError`, and then nothing is left either.
 */
export async function openGrid(wish: GridWish): Promise<Grid> {
  await buildImage(wish);
  wish.signal.throwIfAborted();
  await using stack = new AsyncDisposableStack();
  // First made and last removed: until then the guests' consoles are written there.
  stack.use(await openFolder(wish.folder));
  const lab = stack.use(await openWire(wish));
  const { address, startDhcp } = lab;
  const onFetch = (event: ServeEvent): void => void tellFetch(wish, lab, event);
  const firstStagePath = await wish.makeFirstStage?.();
  // Before the release is signed, which says whose TPMs there are.
  const machines = await makeMachines(wish, lab);
  if (wish.uefi !== undefined) stack.use(await nameMaker(wish.root, lab));
  const services = stack.use(
    await openServices({
      ...wish,
      nodes: wish.mayJoin ?? wish.nodes,
      address,
      startDhcp,
      onFetch,
      consoles: ['console=ttyS0,115200'],
      ...(firstStagePath === undefined ? {} : { firstStagePath }),
    }),
  );
  const nodes = await startNodes(wish, lab, machines);
  await waitOnline(services.bot, { count: nodes.length, signal: wish.signal });
  const open = stack.move();
  return {
    ...services,
    folder: wish.folder,
    lab,
    nodes,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function openWire({ root, name, onEvent, onConsole }: GridWish): Promise<Lab> {
  const subject = 'network';
  onEvent({ subject, state: 'running', text: 'a wire of its own; tries whether KVM runs a guest' });
  const joined = new Set<string>();
  const lab = await openLab({
    name,
    kernelPath: join(root, 'dist/release/vmlinuz'),
    onLine: (node, line) => {
      onConsole?.(node, line);
      const text = stageOf(line);
      if (text === undefined || (joined.has(node) && !isTrouble(text))) return;
      if (text.startsWith('registered ')) joined.add(node);
      else onEvent({ subject: subjectOf(node), state: 'running', text });
    },
  });
  const how = lab.accelerator === 'kvm' ? 'with KVM' : 'emulated, as KVM runs no guest here';
  onEvent({ subject, state: 'done', text: `${lab.subnet}; nodes run ${how}` });
  return lab;
}

/** What is bought for each node, in the order of their names. */
async function makeMachines(wish: GridWish, lab: Lab): Promise<GuestWish[]> {
  const { root, memoryMiB, diskMiB, hasSecondSerial, hasDisplay, uefi } = wish;
  const enrolledPath = uefi === undefined ? undefined : await ensureEnrolled(root);
  const machines: GuestWish[] = [];
  for (let index = 0; index < wish.nodes; index += 1) {
    const name = `node${index + 1}`;
    machines.push({
      name,
      mac: macOf(index),
      memoryMiB,
      serialLogPath: join(wish.folder, `${name}.log`),
      ...(wish.clocks?.[index] === undefined ? {} : { clock: wish.clocks[index] }),
      ...(hasSecondSerial === true ? { secondSerialPath: join(lab.folder, `${name}.serial`) } : {}),
      ...(hasDisplay === undefined ? {} : { hasDisplay }),
      ...(diskMiB === undefined ? {} : { diskPath: await lab.makeDisk(name, diskMiB) }),
      ...(uefi === undefined
        ? {}
        : {
            uefi: { network: uefi, variablesPath: await lab.makeFirmware(name, enrolledPath) },
            tpmPath: await lab.makeTpm(name),
          }),
    });
  }
  return machines;
}

/** Whose TPMs count is for the release to say: in this grid those of the lab, as long as it is. */
async function nameMaker(root: string, { netns, tpmMaker }: Lab): Promise<AsyncDisposable> {
  const folder = join(root, 'dist/keys/endorsement');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const certificates = await readMakerCertificates(tpmMaker);
  const paths = certificates.map((_, index) => join(folder, `${netns}-${index + 1}.pem`));
  for (const [index, path] of paths.entries()) await writeFile(path, certificates[index] ?? '');
  return {
    [Symbol.asyncDispose]: async () => {
      for (const path of paths) await rm(path, { force: true });
    },
  };
}

async function startNodes(
  { onEvent, signal }: GridWish,
  lab: Lab,
  machines: readonly GuestWish[],
): Promise<GridNode[]> {
  const waits = machines.map(async (machine) => {
    onEvent({ subject: subjectOf(machine.name), state: 'running', text: 'switched on' });
    const guest = await lab.startGuest(machine);
    return waitRegistered({ guest, addressOf: lab.addressOf, onEvent, signal });
  });
  return untilAborted(Promise.all(waits), signal);
}

/** A locally administered address (IEEE 802, bit 1 of the first byte). */
function macOf(index: number): string {
  return `52:54:00:5a:00:${(index + 1).toString(16).padStart(2, '0')}`;
}

/** Tells what a node's firmware fetches; its own console has no words for that. */
async function tellFetch(wish: GridWish, lab: Lab, event: ServeEvent): Promise<void> {
  const text = fetchOf(event);
  if (text === undefined) return;
  for (let index = 0; index < wish.nodes; index += 1) {
    if ((await lab.addressOf(macOf(index))) !== event.client) continue;
    wish.onEvent({ subject: `node ${index + 1}`, state: 'running', text });
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    // Whichever lost the race may fail later, when what it waits for is taken down.
    work.catch(() => {});
  }
}
