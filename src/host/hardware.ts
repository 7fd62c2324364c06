import { readdir, readFile, readlink } from 'node:fs/promises';
import { cpus } from 'node:os';
import systeminformation from 'systeminformation';

/** What the machine is made of, beside its disks. */
export type Hardware = {
  /** `QEMU Standard PC`, as its maker wrote it. */
  readonly board: string;
  readonly processor: string;
  /** Logical processors. */
  readonly processorCount: number;
  /** What the processor can do, by the kernel's names. */
  readonly processorFlags: readonly string[];
  readonly memoryBytes: number;
  readonly networkCards: readonly NetworkCard[];
};

export type NetworkCard = {
  readonly link: string;
  readonly mac: string;
  /** The kernel module that drives it. */
  readonly driver: string;
  /** None while no cable is in, or when the card does not know. */
  readonly speedMbps: number | undefined;
};

/**
 * Reads processor and memory through systeminformation, whose functions for these read `/proc` and
 * work without a shell. Its functions for disks and board answer nothing in an image without one,
 * and say no word of it: those are read from `/sys`.
 */
export async function readHardware(sysPath = '/sys'): Promise<Hardware> {
  const [cpu, memory, board, networkCards, processorFlags] = await Promise.all([
    systeminformation.cpu(),
    systeminformation.mem(),
    readBoard(sysPath),
    readNetworkCards(sysPath),
    readProcessorFlags(),
  ]);
  const logical = cpus();
  const name = `${cpu.manufacturer} ${cpu.brand}`.trim();
  return {
    board,
    processor: name === '' ? (logical[0]?.model ?? 'unknown') : name,
    processorCount: logical.length,
    processorFlags,
    memoryBytes: memory.total,
    networkCards,
  };
}

async function readBoard(sysPath: string): Promise<string> {
  const names = ['sys_vendor', 'product_name', 'board_vendor', 'board_name'];
  const texts = await Promise.all(names.map((name) => textOf(`${sysPath}/class/dmi/id/${name}`)));
  const known = [...new Set(texts.filter((text) => text !== ''))].join(' ');
  return known === '' ? 'unknown' : known;
}

async function readProcessorFlags(): Promise<string[]> {
  const [, flags = ''] = /^flags\s*: (.*)$/mu.exec(await textOf('/proc/cpuinfo')) ?? [];
  return flags.split(' ').filter((flag) => flag !== '');
}

async function readNetworkCards(sysPath: string): Promise<NetworkCard[]> {
  const links: string[] = await readdir(`${sysPath}/class/net`);
  const cards = await Promise.all(
    links.toSorted().map(async (link) => {
      const folder = `${sysPath}/class/net/${link}`;
      // Only what is hardware has a device behind it.
      const driver = await readlink(`${folder}/device/driver`).catch(() => undefined);
      if (driver === undefined) return undefined;
      const speed = Number(await textOf(`${folder}/speed`));
      return {
        link,
        mac: await textOf(`${folder}/address`),
        driver: driver.split('/').at(-1) ?? '',
        speedMbps: speed > 0 ? speed : undefined,
      };
    }),
  );
  return cards.filter((card) => card !== undefined);
}

async function textOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}
