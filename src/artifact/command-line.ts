import { ArtifactError } from './spec.ts';

/**
 * What every kernel of ours is started with. erofs is mounted from a file on the root file system,
 * which a ramfs can do and a tmpfs can not; a crash restarts the machine, also one before anything
 * of ours runs; the kernel takes no module, kernel or memory image that is not signed, whoever asks
 * (kernel_lockdown(7)).
 */
export const KERNEL_ARGUMENTS = [
  'rootfstype=ramfs',
  'quiet',
  'loglevel=4',
  'oops=panic',
  'panic=10',
  'lockdown=integrity',
  'module.sig_enforce=1',
  // No gate for 32-bit programs at all, for nobody: half of the kernel's surface.
  'ia32_emulation=0',
  // Objects of one kind don't lie where one of another kind was freed.
  'slab_nomerge',
  'page_alloc.shuffle=1',
  'debugfs=off',
] as const;

/** The kernel talks on both, and so do we (`src/host/log.ts`); PID 1 on the last one only. */
export const CONSOLES = ['console=tty0', 'console=ttyS0,115200'] as const;

/** How iPXE tells the kernel which of the files that it loaded are its first file system. */
export const INITRD_ARGUMENTS = ['initrd=initramfs.cpio', 'initrd=farm.cpio'] as const;

/** Who loaded kernel and first stage: GRUB, with keys of its own, says where it lay itself. */
export const LOADERS = ['local', 'network'] as const;
export type Loader = (typeof LOADERS)[number];
const LOADER_PREFIX = 'zos.loader=';

/** Every argument there may be, letter by letter. */
const ALLOWED: ReadonlySet<string> = new Set([
  ...KERNEL_ARGUMENTS,
  ...CONSOLES,
  ...INITRD_ARGUMENTS,
  ...LOADERS.map((loader) => `${LOADER_PREFIX}${loader}`),
  // iPXE on UEFI puts the kernel's name first and its own name for the files last.
  'vmlinuz',
  'initrd=initrd.magic',
]);

/** GRUB says where it found the kernel; no more than a name, to nobody. */
const GRUB_ARGUMENT = /^BOOT_IMAGE=(?:\([a-z0-9,.:_-]{1,60}\))?\/?[A-Za-z0-9._/-]{1,100}$/u;

/** Without these the kernel would take what nobody signed. */
const REQUIRED = ['lockdown=integrity', 'module.sig_enforce=1'] as const;

/** Half of what the kernel would take (`COMMAND_LINE_SIZE` is 2048 on x86). */
const COMMAND_LINE_BYTES_MAX = 1024;
const SHOWN_MAX = 80;

export type CommandLine = {
  /** Who loaded the kernel, if a loader of ours did. */
  readonly loader: Loader | null;
};

/**
 * What the kernel was started with, as `/proc/cmdline` shows it. Whatever is not on the list is
 * refused by name, so that nothing outside of a signed image turns on a debug mode, another first
 * program, or a weaker kernel. Throws `ArtifactError`.
 */
export function checkCommandLine(text: string): CommandLine {
  if (Buffer.byteLength(text) > COMMAND_LINE_BYTES_MAX) {
    throw refusal(`It is longer than ${COMMAND_LINE_BYTES_MAX} bytes`);
  }
  const seen = new Set<string>();
  let loader: Loader | null = null;
  for (const argument of text.replace(/\n$/u, '').split(' ')) {
    if (argument === '') continue;
    const isKnown = ALLOWED.has(argument) || GRUB_ARGUMENT.test(argument);
    if (!isKnown) throw refusal(`"${shown(argument)}" is not on the list of this image`);
    if (seen.has(nameOf(argument))) throw refusal(`"${shown(argument)}" stands there twice`);
    seen.add(nameOf(argument));
    loader ??= LOADERS.find((name) => argument === `${LOADER_PREFIX}${name}`) ?? null;
  }
  const missing = REQUIRED.find((argument) => !seen.has(argument));
  if (missing !== undefined) throw refusal(`"${missing}" is missing`);
  return { loader };
}

/** What may stand there once: an argument, or any of those that say the same thing. */
function nameOf(argument: string): string {
  const single = ['BOOT_IMAGE=', LOADER_PREFIX].find((prefix) => argument.startsWith(prefix));
  return single ?? argument;
}

function refusal(what: string): ArtifactError {
  return new ArtifactError(
    'ARGUMENT_REFUSED',
    `${what}; start this machine with the arguments that came with its release, and no others.`,
    { facts: { artifact: 'kernel-command-line' } },
  );
}

/** An argument for people: no control character, and not without an end. */
function shown(argument: string): string {
  return argument.replaceAll(/[^\P{Cc}]/gu, '\uFFFD').slice(0, SHOWN_MAX);
}
