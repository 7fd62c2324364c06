// Part of a script that runs in a guest; see `runInGuest`.
import { signEnvelope } from '../../../src/identity/envelope.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import type { BootFiles } from '../../../src/node/bringup/boot-files.ts';
import { type AgentConsole, openConsole } from '../../../src/node/bringup/console.ts';
import { openDisks, type OwnDisks } from '../../../src/node/disks/opening.ts';
import { type DiskWatch, openDiskWatch } from '../../../src/node/disks/watch.ts';
import { openTroubles, type Troubles } from '../../../src/node/health/troubles.ts';
import { loadModulesForDevices, readModuleIndex } from '../../../src/host/modules.ts';
import { GRID, makePerson, type Person } from '../contracts.ts';
import { powerOff } from '../guest/ground.ts';
import { RESULT_MARK } from '../guest/mark.ts';

export const FARM = sha256Hex(new TextEncoder().encode('farm'));

/** A node's side of its disks, as the agent has it. */
export type Node = {
  readonly farmer: Person;
  readonly media: BootFiles['media'];
  readonly console: AgentConsole;
  readonly troubles: Troubles;
  readonly lines: string[];
  /** Opens the disks as an agent that starts does; one that started before left its marks. */
  readonly open: () => Promise<OwnDisks>;
  /** Lets the watch look until it has seen this many looks, or a disk was lost. */
  readonly watch: (disk: OwnDisks, looks: number) => Promise<{ isLost: boolean; watch: DiskWatch }>;
  /** What is wrong, by code. */
  readonly wrong: () => Readonly<Record<string, string>>;
};

/** Opens it with a farmer who lets it take blank disks, or does not. */
export function openNode(takeBlankDisks: boolean): Node {
  const farmer = makePerson('farmer');
  const about = { grid: GRID, farm: FARM, farmer: farmer.id, nonce: 'ab'.repeat(16) };
  const token = signEnvelope(
    'join-token',
    { ...about, notAfterMs: 1, takeBlankDisks },
    farmer.keys.signing,
  );
  const media = { token, farmer: farmer.document } as unknown as BootFiles['media'];
  const boot = { media, grid: { grid: GRID } } as unknown as BootFiles;
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const console = openConsole({ print, sinceKernelStartMs: () => 0, before: [] });
  const troubles = openTroubles({ steady: () => performance.now(), say: console.say });
  const { signal } = new AbortController();
  return {
    farmer,
    media,
    console,
    troubles,
    lines,
    open: async () => openDisks({ boot, console, troubles, signal }),
    watch: async (disk, looks) => {
      const ending = new AbortController();
      let [count, isLost] = [0, false];
      const end = (): void => ending.abort();
      const onLost = (): void => {
        isLost = true;
        end();
      };
      // Each wait of the watch is a look that is over; time itself is not waited for.
      const sleep = async (): Promise<void> => {
        count += 1;
        if (count >= looks) end();
      };
      const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
      const watch = openDiskWatch({ disk, troubles, sleep, log, onLost });
      await watch.run(ending.signal);
      return { isLost, watch };
    },
    wrong: () => Object.fromEntries(troubles.list(0).map(({ code, sentence }) => [code, sentence])),
  };
}

const quiet = (): void => undefined;

/** Loads what disks need. */
export async function loadDisks(): Promise<void> {
  const index = await readModuleIndex();
  await loadModulesForDevices(index);
}

/** Runs what a guest is for, prints what it found, and ends the guest. */
export async function tell(
  found: Record<string, unknown>,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    found['error'] = error instanceof Error ? `${error.stack}` : String(error);
  }
  console.log(RESULT_MARK + JSON.stringify(found));
  await powerOff();
}
