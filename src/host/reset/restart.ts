import { MINUTE_MS } from '../../lib/units.ts';
import { run } from '../exec.ts';

const PID_1 = 1;

export type KernelFiles = {
  readonly kernel: string;
  readonly initramfs: string;
  /** The new kernel's command line. */
  readonly append: string;
  readonly signal?: AbortSignal;
};

/**
 * Makes a kernel ready to go to. Throws `ExecError` with the kernel's own reason when it does not
 * accept the signature.
 */
export async function readyKernel({ kernel, initramfs, append, signal }: KernelFiles) {
  await run({
    file: '/sbin/init',
    args: ['kexec', kernel, initramfs, append],
    deadlineMs: MINUTE_MS,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Asks PID 1 to end everything and go to the kernel that is ready. */
export function goToKernel(): void {
  process.kill(PID_1, 'SIGUSR1');
}

/** Asks PID 1 to end everything and restart the machine. */
export function restartMachine(): void {
  process.kill(PID_1, 'SIGHUP');
}

/** Asks PID 1 to end everything and switch the machine off. */
export function switchMachineOff(): void {
  process.kill(PID_1, 'SIGTERM');
}
