import { createConnection } from 'node:net';
import { once } from 'node:events';
import { ZosError } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { type Running, start } from '../exec.ts';

export class QemuError extends ZosError<'QMP_REFUSED' | 'QMP_SILENT'> {}

/** What runs the guest's instructions: the host's processor, or a program that plays one. */
export type Accelerator = 'kvm' | 'tcg';

export type Machine = {
  /** The network namespace that its taps are in; the host's if none. */
  readonly netns?: string;
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly processors: number;
  readonly cards: readonly { readonly tap: string; readonly mac: string }[];
  /** Raw disk images, virtio. */
  readonly diskPaths: readonly string[];
  /** Boots this instead of the network. */
  readonly kernel?: {
    readonly path: string;
    readonly initrdPath?: string;
    readonly append: string;
  };
  /** A second serial port, as a Unix socket that QEMU listens on. */
  readonly secondSerialPath?: string;
  /** Where it listens for QMP, a Unix socket. */
  readonly qmpPath?: string;
  /** Counts instructions instead of time, for figures that are the same on every run. */
  readonly isCounted?: boolean;
  /** The machine ends where it would start anew. */
  readonly endsOnReset?: boolean;
  readonly onLine?: (line: string) => void;
};

/** Starts a virtual machine whose serial console is told line by line; throws `ExecError`. */
export function startQemu(machine: Machine): Running {
  const args = qemuArgs(machine);
  const { netns, onLine } = machine;
  const tell = onLine === undefined ? {} : { onLine };
  if (netns === undefined) return start({ file: 'qemu-system-x86_64', args, ...tell });
  const inside = ['netns', 'exec', netns, 'qemu-system-x86_64', ...args];
  return start({ file: 'ip', args: inside, ...tell });
}

/** QEMU's options for a machine. */
export function qemuArgs(machine: Machine): string[] {
  return [
    ['-nodefaults', '-no-user-config', '-machine', 'q35,graphics=off', '-display', 'none'],
    processorArgs(machine),
    ['-m', `${machine.memoryMiB}M`, '-serial', 'stdio', '-rtc', 'base=utc'],
    secondSerialArgs(machine),
    ['-device', 'virtio-rng-pci', '-boot', 'menu=off'],
    machine.cards.flatMap(cardArgs),
    machine.diskPaths.flatMap(diskArgs),
    kernelArgs(machine),
    machine.qmpPath === undefined ? [] : ['-qmp', `unix:${machine.qmpPath},server=on,wait=off`],
    machine.endsOnReset === true ? ['-no-reboot'] : [],
  ].flat();
}

function processorArgs({ accelerator, processors, isCounted }: Machine): string[] {
  if (isCounted === true) {
    return ['-accel', 'tcg,thread=single', '-icount', 'shift=0,sleep=off', '-cpu', 'max,cx16=off'];
  }
  // With cx16, emulated kernels of 6.12 crash after some minutes of network traffic.
  const tcg = ['-accel', 'tcg,thread=multi', '-cpu', 'max,cx16=off'];
  const kind = accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : tcg;
  return [...kind, '-smp', `${processors}`];
}

function secondSerialArgs({ secondSerialPath }: Machine): string[] {
  return secondSerialPath === undefined
    ? []
    : ['-serial', `unix:${secondSerialPath},server=on,wait=off`];
}

function cardArgs({ tap, mac }: Machine['cards'][number], index: number): string[] {
  // Without `romfile`: only for its default ROM does QEMU write the card's id into it.
  const device = `virtio-net-pci,netdev=net${index},mac=${mac}`;
  return [
    '-netdev',
    `tap,id=net${index},ifname=${tap},script=no,downscript=no`,
    '-device',
    `${device},bootindex=${index + 1}`,
  ];
}

function diskArgs(path: string, index: number): string[] {
  const file = path.replaceAll(',', ',,');
  return [
    '-drive',
    `file=${file},if=none,id=disk${index},format=raw,discard=unmap`,
    '-device',
    `virtio-blk-pci,drive=disk${index},serial=zos-disk-${index}`,
  ];
}

function kernelArgs({ kernel }: Machine): string[] {
  if (kernel === undefined) return [];
  const initrd = kernel.initrdPath === undefined ? [] : ['-initrd', kernel.initrdPath];
  return ['-kernel', kernel.path, ...initrd, '-append', kernel.append];
}

const QMP_DEADLINE_MS = 10 * SECOND_MS;

/** One command of the QEMU Machine Protocol, such as `system_reset`; throws `QemuError`. */
export async function tellQemu(
  qmpPath: string,
  command: string,
  args: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const socket = createConnection(qmpPath);
  const deadline = AbortSignal.timeout(QMP_DEADLINE_MS);
  try {
    await once(socket, 'connect', { signal: deadline });
    const wishes = [{ execute: 'qmp_capabilities' }, { execute: command, arguments: args, id: 1 }];
    for (const wish of wishes) socket.write(`${JSON.stringify(wish)}\n`);
    deadline.addEventListener('abort', () => socket.destroy());
    let text = '';
    for await (const part of socket) {
      text += String(part);
      for (const line of text.split('\n').slice(0, -1)) {
        const answer = JSON.parse(line) as { id?: number; return?: unknown; error?: unknown };
        if (answer.id === 1 && answer.error === undefined) return answer.return;
        if (answer.id === 1) throw refusal(command, answer.error);
      }
      text = text.slice(text.lastIndexOf('\n') + 1);
    }
  } catch (cause) {
    if (cause instanceof QemuError) throw cause;
    throw new QemuError('QMP_SILENT', `QEMU did not take ${command}.`, { cause });
  } finally {
    socket.destroy();
  }
  throw new QemuError('QMP_SILENT', `QEMU did not answer to ${command}.`);
}

function refusal(command: string, error: unknown): QemuError {
  return new QemuError('QMP_REFUSED', `QEMU refused ${command}.`, { facts: { error } });
}
