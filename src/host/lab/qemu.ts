import { createConnection } from 'node:net';
import { once } from 'node:events';
import { ZosError } from '../../lib/errors.ts';
import { SECOND_MS } from '../../lib/units.ts';
import { type Running, start } from '../exec.ts';

export class QemuError extends ZosError<'QMP_REFUSED' | 'QMP_SILENT'> {}

/** What runs the guest's instructions: the host's processor, or a program that plays one. */
export type Accelerator = 'kvm' | 'tcg';

/** UEFI with Secure Boot; a machine without it has the old BIOS. */
export type Uefi = {
  /** What its firmware remembers: boot entries, and the keys of Secure Boot. Written to. */
  readonly variablesPath: string;
  /** How it boots over its cards, as a farmer would set it in the firmware's menu. */
  readonly network: 'http' | 'pxe';
};

export type Medium = {
  /** A raw disk image for a USB stick, or an ISO 9660 image; it is not written to. */
  readonly path: string;
  readonly kind: 'usb' | 'cd';
};

/** A disk that is not just a virtio disk as fast as its file. */
export type OtherDisk = {
  readonly path: string;
  readonly kind: 'virtio' | 'nvme' | 'ahci';
  readonly serial: string;
  /** Reads that it manages in a second, as a disk with an arm. */
  readonly readsPerSecondMax?: number;
  readonly isReadOnly?: boolean;
};

/** A network card, on a tap of the host or on a hub inside QEMU that joins cards of a machine. */
export type Card = { readonly mac: string } & ({ readonly tap: string } | { readonly hub: number });

export type Machine = {
  /** The network namespace that its taps are in; the host's if none. */
  readonly netns?: string;
  readonly accelerator: Accelerator;
  readonly memoryMiB: number;
  readonly processors: number;
  readonly cards: readonly Card[];
  /** Raw disk images, virtio, with the serial numbers `zos-disk-0` and so on. */
  readonly diskPaths: readonly string[];
  /** Further disks that are something else. */
  readonly disks?: readonly OtherDisk[];
  readonly uefi?: Uefi;
  /** Where a TPM 2.0 listens for its machine; none for a machine without one. */
  readonly tpmSocketPath?: string;
  /** What is plugged in; tried in this order, before the network. */
  readonly media?: readonly Medium[];
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
  /** A display, which nobody sees but who asks for a picture of it (`screendump`). */
  readonly hasDisplay?: boolean;
  /** Counts instructions instead of time, for figures that are the same on every run. */
  readonly isCounted?: boolean;
  /** What its own clock says when it is switched on, such as `2035-01-01`; the time, without. */
  readonly clock?: string;
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
  const { media = [], cards, diskPaths, tpmSocketPath, qmpPath } = machine;
  return [
    ['-nodefaults', '-no-user-config'],
    firmwareArgs(machine),
    ['-display', 'none'],
    machine.hasDisplay === true ? ['-device', 'VGA'] : [],
    processorArgs(machine),
    ['-m', `${machine.memoryMiB}M`, '-serial', 'stdio', '-rtc', `base=${machine.clock ?? 'utc'}`],
    secondSerialArgs(machine),
    // As boards of servers have them: what restarts a machine whose PID 1 does not get to run, and
    // what keeps the last words of a kernel.
    ['-device', 'i6300esb'],
    ['-object', 'memory-backend-ram,id=erst,size=64K', '-device', 'acpi-erst,memdev=erst'],
    // What came too late on a busy machine takes another start; else the old BIOS stands for ever.
    ['-device', 'virtio-rng-pci', '-boot', 'menu=off,reboot-timeout=5000'],
    mediaArgs(media),
    cards.flatMap((card, index) => cardArgs(card, index, machine)),
    diskPaths.flatMap(diskArgs),
    otherDisksArgs(machine.disks ?? []),
    tpmSocketPath === undefined ? [] : tpmArgs(tpmSocketPath),
    kernelArgs(machine),
    qmpPath === undefined ? [] : ['-qmp', `unix:${qmpPath},server=on,wait=off`],
    machine.endsOnReset === true ? ['-no-reboot'] : [],
  ].flat();
}

/** Debian's build with Secure Boot, whose variables only code in system management mode writes. */
const UEFI_CODE_PATH = '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd';

/** Variables of a machine that nobody has set up yet: Secure Boot has no keys (setup mode). */
export const BLANK_VARIABLES_PATH = '/usr/share/OVMF/OVMF_VARS_4M.fd';

function firmwareArgs({ uefi, hasDisplay = false }: Machine): string[] {
  const graphics = hasDisplay ? '' : ',graphics=off';
  if (uefi === undefined) return ['-machine', `q35${graphics}`];
  const flash = `if=pflash,format=raw`;
  const option = (name: string, value: string): string[] => [
    '-fw_cfg',
    `name=opt/org.tianocore/${name},string=${value}`,
  ];
  return [
    ['-machine', `q35,smm=on${graphics}`],
    ['-global', 'driver=cfi.pflash01,property=secure,value=on'],
    ['-global', 'ICH9-LPC.disable_s3=1'],
    ['-drive', `${flash},unit=0,readonly=on,file=${UEFI_CODE_PATH}`],
    ['-drive', `${flash},unit=1,file=${escaped(uefi.variablesPath)}`],
    option('IPv6Support', 'n'),
    option('IPv4PXESupport', uefi.network === 'pxe' ? 'y' : 'n'),
    option('IPv6PXESupport', 'n'),
  ].flat();
}

function tpmArgs(socketPath: string): string[] {
  return [
    ['-chardev', `socket,id=tpm,path=${escaped(socketPath)}`],
    ['-tpmdev', 'emulator,id=tpm0,chardev=tpm', '-device', 'tpm-crb,tpmdev=tpm0'],
  ].flat();
}

function mediaArgs(media: readonly Medium[]): string[] {
  if (media.length === 0) return [];
  const drives = media.flatMap(({ path, kind }, index) => {
    const device = kind === 'usb' ? 'usb-storage,bus=usb.0,removable=on' : 'ide-cd';
    const drive = `if=none,id=medium${index},format=raw,readonly=on,file=${escaped(path)}`;
    const plug = `${device},drive=medium${index},bootindex=${index + 1}`;
    return ['-drive', drive, '-device', plug];
  });
  return ['-device', 'qemu-xhci,id=usb', ...drives];
}

function processorArgs({ accelerator, processors, isCounted }: Machine): string[] {
  // With cx16, emulated kernels of 6.12 crash after some minutes of network traffic. In threads of
  // their own, processors run code that another has just patched: now and then a kernel meets a
  // breakpoint that is gone already, and panics ("Oops: int3"), the sooner the busier this machine.
  const tcg = ['-accel', 'tcg,thread=single', '-cpu', 'max,cx16=off'];
  if (isCounted === true) return [...tcg, '-icount', 'shift=0,sleep=off'];
  const kind = accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : tcg;
  return [...kind, '-smp', `${processors}`];
}

function secondSerialArgs({ secondSerialPath }: Machine): string[] {
  return secondSerialPath === undefined
    ? []
    : ['-serial', `unix:${secondSerialPath},server=on,wait=off`];
}

function cardArgs(card: Card, index: number, { uefi, media = [] }: Machine): string[] {
  // The BIOS has no driver but the card's default ROM, into which alone QEMU writes the card's id.
  // UEFI has drivers of its own, and refuses a ROM without a signature.
  const rom = uefi === undefined ? '' : ',romfile=';
  // Without a speed there is no LACP; on a tap it is nobody's business.
  const speed = 'hub' in card ? ',speed=1000,duplex=full' : '';
  const device = `virtio-net-pci,netdev=net${index},mac=${card.mac}${speed}${rom}`;
  const wire =
    'tap' in card
      ? `tap,id=net${index},ifname=${card.tap},script=no,downscript=no`
      : `hubport,id=net${index},hubid=${card.hub}`;
  return ['-netdev', wire, '-device', `${device},bootindex=${media.length + index + 1}`];
}

function diskArgs(path: string, index: number): string[] {
  return [
    '-drive',
    `file=${escaped(path)},if=none,id=disk${index},format=raw,discard=unmap`,
    '-device',
    `virtio-blk-pci,drive=disk${index},serial=zos-disk-${index}`,
  ];
}

const DEVICES = { virtio: 'virtio-blk-pci', nvme: 'nvme', ahci: 'ide-hd' } as const;

function otherDisksArgs(disks: readonly OtherDisk[]): string[] {
  return disks.flatMap((disk, index) => {
    const { path, kind, serial, readsPerSecondMax, isReadOnly = false } = disk;
    const id = `other${index}`;
    const most =
      readsPerSecondMax === undefined ? '' : `,throttling.iops-read=${readsPerSecondMax}`;
    const mode = isReadOnly ? ',readonly=on' : '';
    const drive = `file=${escaped(path)},if=none,id=${id},format=raw${mode}${most}`;
    const bus = kind === 'ahci' ? `,bus=ide.${index}` : '';
    const device = `${DEVICES[kind]},drive=${id},serial=${serial},id=plug-${serial}${bus}`;
    return ['-drive', drive, '-device', device];
  });
}

/** QEMU takes a comma for the end of a value, unless it is doubled. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
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
