import { join } from 'node:path';
import type { Guest } from '../../../boot/lab/guest.ts';
import type { Lab } from '../../../boot/lab/lab.ts';
import { run } from '../../../src/host/exec.ts';
import { KERNEL_ARGUMENTS } from '../../../src/artifact/command-line.ts';
import { makeInitrd } from '../guest/guest.ts';

export type WireGuestWish = {
  readonly root: string;
  readonly script: string;
  readonly mac: string;
  readonly files?: Readonly<Record<string, string>>;
  /** The host's end of the guest's second serial port, for words to its script. */
  readonly secondSerialPath?: string;
};

/** A guest that runs one script on the released system, on the wire of a lab, with a blank disk. */
export async function startWireGuest(lab: Lab, wish: WireGuestWish): Promise<Guest> {
  const { root, mac, secondSerialPath } = wish;
  const initrdPath = await makeInitrd({ ...wish, folder: lab.folder });
  return lab.startGuest({
    name: 'guest',
    mac,
    diskPath: await lab.makeDisk('guest', 1024),
    kernel: {
      path: join(root, 'dist/release/vmlinuz'),
      initrdPath,
      append: [...KERNEL_ARGUMENTS, 'console=ttyS0,115200'].join(' '),
    },
    endsOnReset: true,
    ...(secondSerialPath === undefined ? {} : { secondSerialPath }),
  });
}

/** The first parts of the addresses on the lab's wire, IPv4 and IPv6. */
export function prefixesOf(lab: Pick<Lab, 'address' | 'netns'>): {
  readonly prefix: string;
  readonly prefix6: string;
} {
  const number = Number(lab.netns.split('-').at(-1));
  const prefix = lab.address.replace(/\.1$/u, '');
  return { prefix, prefix6: `fd5a:6f73:91:${number.toString(16)}` };
}

/** The hostile tenant's image: what it tries, for 64-bit and 32-bit, beside a shell. */
export async function makeHostileImage(root: string, folder: string): Promise<string> {
  const tree = join(folder, 'hostile');
  const source = (name: string): string => join(import.meta.dirname, name);
  const folders = ['bin', 'proc', 'sys', 'dev', 'tmp', 'run', 'etc', 'www'];
  await run({ file: 'mkdir', args: ['-p', ...folders.map((name) => join(tree, name))] });
  const hostile = join(tree, 'bin/hostile');
  const options = ['-static', '-no-pie', '-mno-red-zone', '-Os', '-s'];
  await run({ file: 'musl-gcc', args: [...options, '-o', hostile, source('hostile.c')] });
  const plain = ['-m32', '-nostdlib', '-static', '-s', '-o', join(tree, 'bin/plain32')];
  await run({ file: 'gcc', args: [...plain, source('plain32.S')] });
  const busybox = join(root, 'dist/work/packages');
  const [found] = (await run({ file: 'find', args: [busybox, '-path', '*/usr/bin/busybox'] }))
    .trim()
    .split('\n');
  if (found === undefined) throw new Error('There is no busybox; run npm run image.');
  await run({ file: 'cp', args: [found, join(tree, 'bin/busybox')] });
  for (const name of ['sh', 'httpd', 'wget', 'sleep']) {
    await run({ file: 'ln', args: ['-sf', 'busybox', join(tree, 'bin', name)] });
  }
  await run({ file: 'tee', args: [join(tree, 'www/index.html')], stdin: 'still here\n' });
  await run({ file: 'touch', args: [join(tree, 'etc/hosts'), join(tree, 'etc/resolv.conf')] });
  const path = join(folder, 'hostile.erofs');
  await run({ file: 'mkfs.erofs', args: ['-T0', '--all-root', '--quiet', path, tree] });
  return path;
}
