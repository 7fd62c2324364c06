import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../../../boot/lab/lab.ts';
import { startQemu } from '../../../src/host/lab/qemu.ts';
import { runIp } from '../../../src/host/net/ip.ts';
import { makeInitrd } from '../guest/guest.ts';
import { filesOfProgram } from './host-program.ts';

export type BadWire = AsyncDisposable & {
  /** In netem's words, for each way: `loss 20% delay 250ms`. */
  readonly be: (order: string) => Promise<void>;
};

const PACKAGES = 'dist/work/packages';
const LOOK_MS = 100;

/**
 * A machine with Debian's kernel between a tap and the rest of a lab's wire: it passes everything
 * on, and loses and delays it as it is told to. The tap is put behind it while its guest runs.
 */
export async function openBadWire(wish: {
  readonly root: string;
  readonly folder: string;
  readonly lab: Lab;
  readonly tap: string;
  readonly deadlineMs: number;
}): Promise<BadWire> {
  const { root, folder, lab, tap, deadlineMs } = wish;
  const { netns } = lab;
  const script = join(root, 'test/support/wire/guest/bad-wire.ts');
  const files = { ...(await filesOfProgram('/usr/sbin/tc')), ...(await netemOf(root)) };
  const initrdPath = await makeInitrd({ root, folder, script, files });
  const ends = ['bad0', 'bad1'];
  await runIp(
    [
      'link add behind type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      'link set dev behind up',
      ...ends.map((name) => `tuntap add dev ${name} mode tap`),
      'link set dev bad0 master wire up',
      'link set dev bad1 master behind up',
    ],
    { netns },
  );
  const secondSerialPath = join(folder, 'orders');
  const machine = startWire({ root, lab, initrdPath, ends, secondSerialPath });
  const said = async (from: number, pattern: RegExp): Promise<void> => {
    const deadline = AbortSignal.timeout(deadlineMs);
    while (!machine.lines.slice(from).some((line) => pattern.test(line))) {
      if (deadline.aborted) throw new Error(`It said:\n${machine.lines.slice(-30).join('\n')}`);
      await sleep(LOOK_MS);
    }
  };
  await said(0, /wire joined 2/u);
  const orders = createConnection(secondSerialPath);
  await once(orders, 'connect');
  await runIp([`link set dev ${tap} master behind`], { netns });
  return {
    be: async (order) => {
      const from = machine.lines.length;
      orders.write(`${order}\n`);
      await said(from, new RegExp(`wire is ${order}|wire failed`, 'u'));
    },
    [Symbol.asyncDispose]: async () => {
      await runIp([`link set dev ${tap} master wire`], { netns });
      orders.destroy();
      await machine.running.stop();
    },
  };
}

function startWire(wish: {
  readonly root: string;
  readonly lab: Lab;
  readonly initrdPath: string;
  readonly ends: readonly string[];
  readonly secondSerialPath: string;
}) {
  const { root, lab, initrdPath, ends, secondSerialPath } = wish;
  const lines: string[] = [];
  const running = startQemu({
    netns: lab.netns,
    accelerator: lab.accelerator,
    memoryMiB: 512,
    processors: 1,
    cards: ends.map((end, at) => ({ tap: end, mac: `52:54:00:ba:d0:0${at}` })),
    diskPaths: [],
    secondSerialPath,
    kernel: {
      path: join(root, 'dist/release/vmlinuz'),
      initrdPath,
      append: 'rootfstype=ramfs quiet console=ttyS0 panic=-1',
    },
    endsOnReset: true,
    onLine: (line) => lines.push(line),
  });
  return { running, lines };
}

/** Out of the package of the very kernel that the release has. */
async function netemOf(root: string): Promise<Record<string, string>> {
  const folder = join(root, PACKAGES);
  const kernel = (await readdir(folder)).find((name) => name.startsWith('linux-image-')) ?? '';
  const modules = join(folder, kernel, 'usr/lib/modules');
  const [release = ''] = await readdir(modules);
  const name = 'sch_netem.ko.xz';
  return { [name]: join(modules, release, 'kernel/net/sched', name) };
}
