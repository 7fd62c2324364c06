import { access, constants } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND_MS } from '../../src/lib/units.ts';
import { type Accelerator, startQemu } from '../../src/host/lab/qemu.ts';

const DEADLINE_MS = 20 * SECOND_MS;
/** What a kernel without a root file system says at its end: it ran all the way through. */
const END = /Kernel panic - not syncing/u;

const answers = new Map<string, Promise<Accelerator>>();

/**
 * Whether KVM really runs a guest here, found out by booting the kernel alone: `/dev/kvm` is there
 * on hosts that can't, where guests crash or stand still. The answer holds for this process.
 */
export async function chooseAccelerator(kernelPath: string): Promise<Accelerator> {
  const known = answers.get(kernelPath);
  if (known !== undefined) return known;
  const answer = probe(kernelPath);
  answers.set(kernelPath, answer);
  return answer;
}

async function probe(kernelPath: string): Promise<Accelerator> {
  const mode = constants.R_OK | constants.W_OK;
  const isThere = await access('/dev/kvm', mode).then(
    () => true,
    () => false,
  );
  if (!isThere) return 'tcg';
  let hasRun = false;
  await using guest = startQemu({
    accelerator: 'kvm',
    memoryMiB: 256,
    processors: 1,
    cards: [],
    diskPaths: [],
    kernel: { path: kernelPath, append: 'console=ttyS0 panic=-1' },
    endsOnReset: true,
    onLine: (line) => {
      hasRun ||= END.test(line);
    },
  });
  const stop = new AbortController();
  await Promise.race([
    guest.ended,
    sleep(DEADLINE_MS, undefined, { signal: stop.signal }).catch(() => {}),
  ]);
  stop.abort();
  return hasRun ? 'kvm' : 'tcg';
}
