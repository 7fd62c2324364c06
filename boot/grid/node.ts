import { formatBytes, formatDuration, MINUTE_MS } from '../../src/lib/units.ts';
import { BootError } from '../errors.ts';
import type { ConsoleLine, Guest } from '../lab/guest.ts';
import type { ServeEvent } from '../serve/server.ts';
import type { OnEvent } from './event.ts';

export type GridNode = {
  /** Such as `node1`, the name of the machine in the lab. */
  readonly name: string;
  readonly guest: Guest;
  /** The node's id: the hash of the identity that it made itself. */
  readonly id: string;
  readonly address: string;
  /** From power-on until the directory had it. */
  readonly registeredAfterMs: number;
};

/** Far more than a machine needs, also where it is emulated and shares its processors. */
const REGISTER_DEADLINE_MS = 20 * MINUTE_MS;

const REGISTERED = /zos: agent registered node=(?<id>[0-9a-f]{64})/u;
const TOLD = /zos: (?:boot|agent) (?<text>.*)$/u;

/** `node 1` of `node1`: how people read it. */
export function subjectOf(name: string): string {
  return name.replace(/(?<=[a-z])(?=\d)/u, ' ');
}

/** What a line of a node's console says of its way up, or `undefined` for any other line. */
export function stageOf(line: ConsoleLine): string | undefined {
  const text = TOLD.exec(line.text)?.groups?.['text'];
  // Ids and digests are told whole, for programs; people tell them apart by their first digits.
  return text?.replaceAll(/\b([0-9a-f]{10})[0-9a-f]{54}\b/gu, '$1');
}

/** Whether a node that has joined tells of trouble; all else it tells then is its daily work. */
export function isTrouble(stage: string): boolean {
  return /^(?:failed|refused|stopped|started)\b/u.test(stage);
}

/** What firmware fetches; from then on the boot program tells by itself what it does. */
const FIRMWARE_FILES = /^\/(?:boot\.ipxe|zos\.efi|vmlinuz|initramfs\.cpio)$/u;

/** What a machine's request says of its way up, or `undefined` when nothing. */
export function fetchOf(event: ServeEvent): string | undefined {
  if (event.kind !== 'begin' || event.method !== 'GET') return undefined;
  if (!FIRMWARE_FILES.test(event.path)) return undefined;
  return `fetches ${event.path.slice(1)}, ${formatBytes(event.bytes)}`;
}

export type Wait = {
  readonly guest: Guest;
  readonly addressOf: (mac: string) => Promise<string | undefined>;
  readonly onEvent: OnEvent;
  readonly signal: AbortSignal;
};

/** Waits until a machine is a node of the grid; throws `BootError` with its last lines if not. */
export async function waitRegistered(wait: Wait): Promise<GridNode> {
  const { guest, onEvent } = wait;
  const { name } = guest;
  const subject = subjectOf(name);
  try {
    const line = await guest.waitFor(REGISTERED, REGISTER_DEADLINE_MS);
    const id = REGISTERED.exec(line.text)?.groups?.['id'] ?? '';
    const address = (await wait.addressOf(guest.mac)) ?? '';
    const registeredAfterMs = line.sincePowerOnMs;
    const text = `registered as ${id.slice(0, 10)} after ${formatDuration(registeredAfterMs)}`;
    onEvent({ subject, state: 'done', text: `${text}, at ${address}` });
    return { name, guest, id, address, registeredAfterMs };
  } catch (error) {
    wait.signal.throwIfAborted();
    if (error instanceof BootError) {
      onEvent({ subject, state: 'failed', text: guest.lines.at(-1)?.text ?? 'said nothing' });
    }
    throw error;
  }
}
