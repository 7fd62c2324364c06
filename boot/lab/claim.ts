import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { removeNamespace } from '../../src/host/lab/netns.ts';
import { listLinks, listNamespaces, listRoutes, runIp } from '../../src/host/net/ip.ts';
import { BootError } from '../errors.ts';

/** Says which lab belongs to which process, one file a lab; only root can write here. */
const CLAIMS_FOLDER = '/run/zos-lab';
const LABS_MAX = 250;

const claimSchema = z.object({
  name: z.string(),
  pid: z.int(),
  /** With the pid it names a process for good: pids are used again. */
  startTicks: z.string(),
  folder: z.string(),
});

/** A number of its own for a lab, and all names that follow from it. */
export type Claim = AsyncDisposable & {
  readonly number: number;
  readonly netns: string;
  /** The end of the wire on this machine; at most 15 characters. */
  readonly hostLink: string;
  readonly prefix: string;
  /** The first 64 bits of the wire's IPv6 addresses. */
  readonly prefix6: string;
  /** For files that live as long as the lab. */
  readonly folder: string;
};

/**
 * Takes the first number whose addresses (10.91.N.0/24) nobody has, after removing what killed runs
 * left behind. Two processes never get the same. Throws `BootError`.
 */
export async function claimLab(name: string): Promise<Claim> {
  if (process.getuid?.() !== 0) {
    throw new BootError('NOT_ROOT', 'A lab makes network namespaces, which takes root; use sudo.');
  }
  await mkdir(CLAIMS_FOLDER, { recursive: true, mode: 0o700 });
  await removeLeftovers();
  const taken = await takenNumbers();
  for (let number = 1; number <= LABS_MAX; number += 1) {
    if (taken.has(number)) continue;
    const claim = claimOf(number, name);
    if (await write(claim, name)) return claim;
  }
  throw new BootError('LAB_FULL', 'All networks 10.91.1.0/24 to 10.91.250.0/24 are in use here.');
}

function claimOf(number: number, name: string): Claim {
  const netns = `zos-lab-${number}`;
  const folder = join(tmpdir(), `zos-lab-${number}-${name}-${process.pid}`);
  return {
    number,
    netns,
    hostLink: hostLinkOf(number),
    prefix: `10.91.${number}`,
    prefix6: `fd5a:6f73:91:${number.toString(16)}`,
    folder,
    [Symbol.asyncDispose]: () => release(number, folder),
  };
}

async function write({ number, folder }: Claim, name: string): Promise<boolean> {
  const { pid } = process;
  const text = JSON.stringify({ name, pid, startTicks: await startTicksOf(pid), folder });
  const part = join(CLAIMS_FOLDER, `.${randomUUID()}`);
  await writeFile(part, text);
  try {
    // A link is made whole or not at all, and never over another.
    await link(part, pathOf(number));
    await mkdir(folder, { mode: 0o755 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(part);
  }
}

/** Takes down what a lab of this number had, by name; what is not there is no error. */
async function release(number: number, folder: string): Promise<void> {
  // The kernel takes a namespace's links down later, by itself; this end goes now.
  const hostLink = hostLinkOf(number);
  const links = await listLinks();
  if (links.some(({ name }) => name === hostLink)) await runIp([`link delete dev ${hostLink}`]);
  const own = new RegExp(`^zos-lab-${number}(?:-[a-z0-9-]+)?$`, 'u');
  for (const netns of await listNamespaces()) if (own.test(netns)) await removeNamespace(netns);
  await rm(folder, { recursive: true, force: true });
  await rm(pathOf(number), { force: true });
}

/** Removes the labs of processes that are gone; answers their names. */
export async function removeLeftovers(): Promise<string[]> {
  const removed: string[] = [];
  for (const file of await readdir(CLAIMS_FOLDER).catch(() => [])) {
    const number = Number(/^(\d+)\.json$/u.exec(file)?.[1] ?? Number.NaN);
    if (!Number.isInteger(number)) continue;
    const text = await readFile(pathOf(number), 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const claim = claimSchema.parse(JSON.parse(text));
    if ((await startTicksOf(claim.pid)) === claim.startTicks) continue;
    await release(number, claim.folder);
    removed.push(claim.name);
  }
  return removed;
}

async function takenNumbers(): Promise<ReadonlySet<number>> {
  const links = await listLinks();
  const routes = await listRoutes(4);
  const texts = [
    ...links.flatMap(({ addresses }) => addresses.map(({ address }) => address)),
    ...routes.map(({ dst }) => dst),
    ...(await listNamespaces()).map((name) => name.replace(/^zos-lab-(\d+).*$/u, '10.91.$1.0')),
  ];
  const numbers = texts.map((text) => Number(/^10\.91\.(\d+)\./u.exec(text)?.[1] ?? Number.NaN));
  return new Set(numbers.filter((number) => Number.isInteger(number)));
}

function hostLinkOf(number: number): string {
  return `zoslab${number}`;
}

function pathOf(number: number): string {
  return join(CLAIMS_FOLDER, `${number}.json`);
}

/** When a process started, in the kernel's own units (proc(5), field 22 of stat); none if gone. */
async function startTicksOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; only nobody has asked yet.
  return fields[0] === 'Z' ? '' : (fields[19] ?? '');
}
