import { chmod, copyFile, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MiB, SECOND_MS } from '../../src/lib/units.ts';
import { run } from '../../src/host/exec.ts';
import { addNamespace } from '../../src/host/lab/netns.ts';
import { type Accelerator, BLANK_VARIABLES_PATH } from '../../src/host/lab/qemu.ts';
import { makeTpm, startTpm, type TpmMaker } from '../../src/host/lab/swtpm.ts';
import { runIp } from '../../src/host/net/ip.ts';
import { type FirstPrograms, openDhcp } from '../serve/wire.ts';
import { type Claim, claimLab } from './claim.ts';
import { type ConsoleLine, type Guest, type GuestWish, type Place, startGuest } from './guest.ts';
import { chooseAccelerator } from './kvm.ts';

const TAP_DEADLINE_MS = 10 * SECOND_MS;
const TAP_POLL_MS = 20;

export type LabWish = {
  /** For people: what left this behind, if anything. */
  readonly name: string;
  /** The kernel by which KVM is tried; without it, or when KVM fails, guests are emulated. */
  readonly kernelPath?: string;
  /** Takes this and tries nothing. */
  readonly accelerator?: Accelerator;
  readonly onLine?: (guest: string, line: ConsoleLine) => void;
  /** dnsmasq's log: who asked for an address, and who got which. */
  readonly onDhcpLine?: (line: string) => void;
};

export type Stranger = { readonly netns: string; readonly address: string };

/** One wire in a network namespace, with this machine at its address .1. */
export type Lab = AsyncDisposable & {
  readonly name: string;
  readonly netns: string;
  /** This machine's address on the wire; servers listen here. */
  readonly address: string;
  readonly subnet: string;
  /** For files that live as long as the lab. */
  readonly folder: string;
  readonly accelerator: Accelerator;
  /** DHCP for the wire, .100 to .199, which sends firmware to its program. */
  readonly startDhcp: (programs: FirstPrograms) => Promise<void>;
  /** A new machine on the wire, switched on. */
  readonly startGuest: (wish: GuestWish) => Promise<Guest>;
  /** The address that DHCP gave to a MAC address, if it did. */
  readonly addressOf: (mac: string) => Promise<string | undefined>;
  /** Another namespace on the same wire, addresses .200 and up. */
  readonly addStranger: (name: string) => Promise<Stranger>;
  /** A sparse raw disk image, all zeros. */
  readonly makeDisk: (name: string, lengthMiB: number) => Promise<string>;
  /** The memory of a machine's UEFI: as from the factory, in setup mode, or a copy of another. */
  readonly makeFirmware: (name: string, fromPath?: string) => Promise<string>;
  /** A TPM 2.0 with certified endorsement keys; the folder keeps what it remembers. */
  readonly makeTpm: (name: string) => Promise<string>;
  /** Who certifies the TPMs of this lab. */
  readonly tpmMaker: TpmMaker;
  /** Bytes that went over the wire to a guest, since it was first switched on. */
  readonly wireBytesTo: (guest: string) => Promise<number>;
};

/**
 * Sets up a wire of its own. Whatever is put on it is taken down in reverse order on dispose; if
 * this process is killed, the kernel ends its guests, and the next lab removes what is left. Throws
 * `BootError`.
 */
export async function openLab(wish: LabWish): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const claim = stack.use(await claimLab(wish.name));
  await makeWire(claim);
  const accelerator = await acceleratorOf(wish);
  const state: State = {
    wish,
    claim,
    accelerator,
    stack: stack.move(),
    taps: new Map(),
    strangers: 0,
  };
  return {
    name: wish.name,
    netns: claim.netns,
    address: `${claim.prefix}.1`,
    subnet: `${claim.prefix}.0/24`,
    folder: claim.folder,
    accelerator,
    startDhcp: (dhcp) => startDhcp(state, dhcp),
    startGuest: (guest) => addGuest(state, guest),
    addressOf: (mac) => addressOf(claim, mac),
    addStranger: (name) => addStranger(state, name),
    makeDisk: (name, lengthMiB) => makeDisk(claim, { name, lengthMiB }),
    makeFirmware: (name, fromPath) => makeFirmware(claim, name, fromPath),
    makeTpm: (name) => addTpm(claim, name),
    tpmMaker: makerOf(claim),
    wireBytesTo: (guest) => wireBytesTo(state, guest),
    [Symbol.asyncDispose]: () => state.stack.disposeAsync(),
  };
}

type State = {
  readonly wish: LabWish;
  readonly claim: Claim;
  readonly accelerator: Accelerator;
  readonly stack: AsyncDisposableStack;
  readonly taps: Map<string, string>;
  strangers: number;
};

const BRIDGE = 'wire';

async function makeWire({ netns, hostLink, prefix, prefix6 }: Claim): Promise<void> {
  await addNamespace(netns);
  await runIp(
    [
      // No spanning tree and no snooping: a port carries everything from its first moment.
      `link add ${BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      `address add ${prefix}.2/24 dev ${BRIDGE}`,
      `address add ${prefix6}::2/64 dev ${BRIDGE} nodad`,
      `link set dev ${BRIDGE} up`,
    ],
    { netns },
  );
  await runIp([
    `link add ${hostLink} type veth peer name host netns ${netns}`,
    `address add ${prefix}.1/24 dev ${hostLink}`,
    `link set dev ${hostLink} up`,
  ]);
  await runIp([`link set dev host master ${BRIDGE} up`], { netns });
}

async function acceleratorOf({ accelerator, kernelPath }: LabWish): Promise<Accelerator> {
  if (accelerator !== undefined) return accelerator;
  return kernelPath === undefined ? 'tcg' : chooseAccelerator(kernelPath);
}

async function startDhcp({ wish, claim, stack }: State, programs: FirstPrograms): Promise<void> {
  const { prefix, prefix6, netns } = claim;
  const addresses = { from: `${prefix}.100`, to: `${prefix}.199`, prefix6: `${prefix6}::` };
  const onLine = wish.onDhcpLine === undefined ? {} : { onLine: wish.onDhcpLine };
  const folder = join(claim.folder, 'dhcp');
  stack.use(await openDhcp({ netns, link: BRIDGE, folder, addresses, ...programs, ...onLine }));
}

async function addGuest(state: State, wish: GuestWish): Promise<Guest> {
  const { claim, accelerator, stack, taps } = state;
  const { netns, folder } = claim;
  let tap = taps.get(wish.name);
  if (tap === undefined) {
    tap = `tap${taps.size}`;
    taps.set(wish.name, tap);
    const lines = [`tuntap add dev ${tap} mode tap`, `link set dev ${tap} master ${BRIDGE} up`];
    await runIp(lines, { netns });
  }
  await waitForFreeTap(netns, tap);
  const { onLine } = state.wish;
  const tpm = wish.tpmPath === undefined ? {} : { tpm: await powerTpm(wish.tpmPath) };
  const told = onLine === undefined ? {} : { onLine };
  return stack.use(startGuest(wish, { netns, tap, folder, accelerator, ...told, ...tpm }));
}

/** The kernel lets go of a tap a moment after the QEMU that held it has ended. */
async function waitForFreeTap(netns: string, tap: string): Promise<void> {
  const args = ['-n', netns, '-json', 'link', 'show', 'dev', tap];
  const isHeld = async (): Promise<boolean> => {
    const [link] = JSON.parse(await run({ file: 'ip', args })) as { flags: readonly string[] }[];
    return link?.flags.includes('LOWER_UP') === true;
  };
  const deadline = AbortSignal.timeout(TAP_DEADLINE_MS);
  while (!deadline.aborted && (await isHeld())) await setTimeout(TAP_POLL_MS);
}

/** dnsmasq's lease file: expiry, MAC, address, name, client id. */
async function addressOf({ folder }: Claim, mac: string): Promise<string | undefined> {
  const text = await readFile(join(folder, 'dhcp/leases'), 'utf8').catch(() => '');
  const leases = text.split('\n').map((line) => line.split(' '));
  return leases.findLast(([, leased]) => leased === mac.toLowerCase())?.[2];
}

async function addStranger(state: State, name: string): Promise<Stranger> {
  const { netns, prefix } = state.claim;
  const own = `${netns}-${name}`;
  const address = `${prefix}.${200 + state.strangers}`;
  const port = `far${state.strangers}`;
  state.strangers += 1;
  await addNamespace(own);
  await runIp([`link add ${port} type veth peer name eth0 netns ${own}`], { netns });
  await runIp([`link set dev ${port} master ${BRIDGE} up`], { netns });
  await runIp([`address add ${address}/24 dev eth0`, 'link set dev eth0 up'], { netns: own });
  return { netns: own, address };
}

type Disk = { readonly name: string; readonly lengthMiB: number };

async function makeDisk({ folder }: Claim, { name, lengthMiB }: Disk): Promise<string> {
  const path = join(folder, `${name}.raw`);
  await using file = await open(path, 'wx', 0o600);
  await file.truncate(lengthMiB * MiB);
  await chmod(path, 0o600);
  return path;
}

async function makeFirmware(
  { folder }: Claim,
  name: string,
  fromPath = BLANK_VARIABLES_PATH,
): Promise<string> {
  const path = join(folder, `${name}.variables`);
  await copyFile(fromPath, path);
  await chmod(path, 0o600);
  return path;
}

function makerOf({ folder }: Claim): TpmMaker {
  return { folder: join(folder, 'tpm-maker') };
}

async function addTpm(claim: Claim, name: string): Promise<string> {
  const path = join(claim.folder, `${name}.tpm`);
  await makeTpm(path, makerOf(claim));
  return path;
}

async function powerTpm(path: string): Promise<NonNullable<Place['tpm']>> {
  const socketPath = `${path}.socket`;
  return { running: await startTpm(path, socketPath), socketPath };
}

async function wireBytesTo({ claim, taps }: State, guest: string): Promise<number> {
  const tap = taps.get(guest);
  if (tap === undefined) return 0;
  const args = ['-n', claim.netns, '-json', '-statistics', 'link', 'show', 'dev', tap];
  const [link] = JSON.parse(await run({ file: 'ip', args })) as {
    stats64?: { tx?: { bytes?: number } };
  }[];
  return link?.stats64?.tx?.bytes ?? 0;
}
