import { EventEmitter, on, once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { type Accelerator, type Machine, startQemu, tellQemu } from '../../src/host/lab/qemu.ts';
import type { Running } from '../../src/host/exec.ts';
import { formatDuration } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';

export type GuestWish = {
  readonly name: string;
  readonly mac: string;
  readonly memoryMiB?: number;
  readonly processors?: number;
  /** A raw disk image; none for a machine without disks. */
  readonly diskPath?: string;
  /** More of them. */
  readonly moreDiskPaths?: readonly string[];
  /** UEFI with Secure Boot, its memory from `lab.makeFirmware`; the old BIOS without. */
  readonly uefi?: Machine['uefi'];
  /** A TPM 2.0 from `lab.makeTpm`: what it remembers outlives the machine's power. */
  readonly tpmPath?: string;
  /** USB sticks and CDs, tried in this order before the network. */
  readonly media?: Machine['media'];
  /** Every line of the serial console is appended to this file. */
  readonly serialLogPath?: string;
  /** A second serial port, as a Unix socket that QEMU listens on. */
  readonly secondSerialPath?: string;
  /** Boots a kernel directly, without firmware's network boot. */
  readonly kernel?: Machine['kernel'];
  /** A display, of which `qmp('screendump')` takes a picture. */
  readonly hasDisplay?: boolean;
  readonly isCounted?: boolean;
  readonly clock?: Machine['clock'];
  readonly endsOnReset?: boolean;
};

export type ConsoleLine = { readonly text: string; readonly sincePowerOnMs: number };

export type Guest = AsyncDisposable & {
  readonly name: string;
  readonly mac: string;
  readonly pid: number;
  /** The console from power-on to now. */
  readonly lines: readonly ConsoleLine[];
  /** Lines as they come, from now on, until the guest ends or the signal fires. */
  readonly follow: (signal?: AbortSignal) => AsyncIterable<ConsoleLine>;
  /** The first line, past or to come, that matches; throws `BootError`. */
  readonly waitFor: (pattern: RegExp, deadlineMs: number) => Promise<ConsoleLine>;
  /** As if somebody pressed reset. */
  readonly reset: () => Promise<void>;
  /** As if somebody pulled the plug. */
  readonly powerOff: () => Promise<void>;
  /** Any command of the QEMU Machine Protocol. */
  readonly qmp: (command: string, args?: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly ended: Running['ended'];
};

export type Place = {
  readonly netns: string;
  readonly tap: string;
  readonly folder: string;
  readonly accelerator: Accelerator;
  /** The machine's TPM, switched on, and where it listens. */
  readonly tpm?: { readonly running: Running; readonly socketPath: string };
  /** Hears every line of every guest. */
  readonly onLine?: (guest: string, line: ConsoleLine) => void;
};

const LINES_MAX = 50_000;
/** Firmware tries the network once, and then stands at its menu; who farms sets it to try again. */
const GAVE_UP = /BdsDxe: No bootable option/u;

/** Switches a machine on at a tap of the lab; it boots from the network. */
export function startGuest(wish: GuestWish, place: Place): Guest {
  const startMs = performance.now();
  const lines: ConsoleLine[] = [];
  const news = new EventEmitter();
  news.setMaxListeners(100);
  const onLine = (raw: string): void => {
    const line = { text: plain(raw), sincePowerOnMs: Math.round(performance.now() - startMs) };
    if (lines.length < LINES_MAX) lines.push(line);
    if (wish.serialLogPath !== undefined) appendFileSync(wish.serialLogPath, `${line.text}\n`);
    news.emit('line', line);
    place.onLine?.(wish.name, line);
    if (GAVE_UP.test(line.text)) void reset().catch(() => undefined);
  };
  const qmpPath = `${place.folder}/${wish.name}.qmp`;
  const reset = async (): Promise<void> => void (await tellQemu(qmpPath, 'system_reset'));
  const { moreDiskPaths = [] } = wish;
  const running = startQemu({
    netns: place.netns,
    accelerator: place.accelerator,
    memoryMiB: wish.memoryMiB ?? 1024,
    processors: wish.processors ?? 2,
    cards: [{ tap: place.tap, mac: wish.mac }],
    diskPaths: [...(wish.diskPath === undefined ? [] : [wish.diskPath]), ...moreDiskPaths],
    qmpPath,
    onLine,
    ...(wish.uefi === undefined ? {} : { uefi: wish.uefi }),
    ...(wish.media === undefined ? {} : { media: wish.media }),
    ...(place.tpm === undefined ? {} : { tpmSocketPath: place.tpm.socketPath }),
    ...(wish.kernel === undefined ? {} : { kernel: wish.kernel }),
    ...(wish.secondSerialPath === undefined ? {} : { secondSerialPath: wish.secondSerialPath }),
    ...(wish.hasDisplay === undefined ? {} : { hasDisplay: wish.hasDisplay }),
    ...(wish.isCounted === undefined ? {} : { isCounted: wish.isCounted }),
    ...(wish.clock === undefined ? {} : { clock: wish.clock }),
    ...(wish.endsOnReset === undefined ? {} : { endsOnReset: wish.endsOnReset }),
  });
  void running.ended.then(() => news.emit('end'));
  const powerOff = async (): Promise<void> => {
    await running.stop();
    // The TPM ends with its machine; its folder can be used again when it has.
    await place.tpm?.running.stop();
  };
  const console: Console = { name: wish.name, lines, news, ended: running.ended };
  return {
    name: wish.name,
    mac: wish.mac,
    pid: running.pid,
    lines,
    follow: (signal) => follow(console, signal),
    waitFor: (pattern, deadlineMs) => waitFor(console, pattern, deadlineMs),
    reset,
    powerOff,
    qmp: (command, args) => tellQemu(qmpPath, command, args),
    ended: running.ended,
    [Symbol.asyncDispose]: powerOff,
  };
}

type Console = Pick<Guest, 'name' | 'lines' | 'ended'> & { readonly news: EventEmitter };

async function* follow({ news }: Console, signal?: AbortSignal): AsyncGenerator<ConsoleLine> {
  const options = { close: ['end'], ...(signal === undefined ? {} : { signal }) };
  for await (const [line] of on(news, 'line', options)) yield line as ConsoleLine;
}

async function waitFor(
  console: Console,
  pattern: RegExp,
  deadlineMs: number,
): Promise<ConsoleLine> {
  const { lines, news, ended } = console;
  const find = (): ConsoleLine | undefined => lines.find(({ text }) => pattern.test(text));
  const deadline = AbortSignal.timeout(deadlineMs);
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    if (hasEnded || deadline.aborted)
      throw missing(console, pattern, hasEnded ? undefined : deadlineMs);
    await Promise.race([once(news, 'line', { signal: deadline }), ended]).catch(() => {
      // The deadline: the next look says so.
    });
  }
}

function missing({ name, lines }: Console, pattern: RegExp, deadlineMs?: number): BootError {
  const last = lines.slice(-15).map(({ text }) => text);
  const facts = { guest: name, pattern: String(pattern), last };
  const tail = `Its last lines:\n${last.join('\n')}`;
  return deadlineMs === undefined
    ? new BootError('GUEST_ENDED', `${name} ended before ${String(pattern)}. ${tail}`, { facts })
    : new BootError(
        'GUEST_TOO_SLOW',
        `${name} did not say ${String(pattern)} within ${formatDuration(deadlineMs)}. ${tail}`,
        { facts },
      );
}

/** Firmware moves the cursor about; only the text is of use. */
function plain(line: string): string {
  const escape = String.fromCodePoint(27);
  return line
    .replaceAll(new RegExp(`${escape}(?:\\[[0-9;?]*[A-Za-z]|[()][0-9A-B]|[=>c])`, 'gu'), '')
    .replaceAll(/\p{Cc}/gu, '');
}
