import { setTimeout as sleep } from 'node:timers/promises';
import { run, start } from '../../../src/host/exec.ts';

/** Somebody else on a wire, who looks at a machine from outside. */
export type Stranger = {
  readonly netns: string;
  /** The machine's hardware address: what it says to anybody comes from there. */
  readonly mac: string;
};

/** What is tried, in nmap's words for ports. */
export type Ports = {
  readonly addresses: readonly string[];
  readonly tcp: string;
  readonly udp: string;
};

/** What of a machine answered. */
export type Scan = {
  /** `8080/open/tcp`, `53/closed/udp`: whatever is not silence. */
  readonly answers: readonly string[];
  /** Packets that it sent meanwhile, to anybody. */
  readonly sent: readonly string[];
};

const LINK = 'eth0';
const SETTLE_MS = 500;
const SCAN_MS = 180_000;

/** Scans by nmap (TCP by half-open connections, UDP) while it listens to what comes back. */
export async function scan(stranger: Stranger, wish: Ports): Promise<Scan> {
  const { netns, mac } = stranger;
  const sent: string[] = [];
  const filter = ['ether', 'src', mac];
  await using tcpdump = start({
    file: 'ip',
    args: ['netns', 'exec', netns, 'tcpdump', '-nn', '-l', '-i', LINK, ...filter],
    onLine: (line) => {
      if (/^\d\d:\d\d:/u.test(line)) sent.push(line.replace(/^\S+ /u, ''));
    },
  });
  await sleep(SETTLE_MS);
  const six = wish.addresses.filter((address) => address.includes(':'));
  const four = wish.addresses.filter((address) => !address.includes(':'));
  const answers = [
    ...(await nmap(stranger, { ...wish, addresses: four })),
    ...(await nmap(stranger, { ...wish, addresses: six })),
  ];
  await sleep(SETTLE_MS);
  await tcpdump.stop();
  return { answers, sent };
}

/** Ports with a state other than silence; nmap calls silence `filtered` or `open|filtered`. */
async function nmap({ netns }: Stranger, { addresses, tcp, udp }: Ports): Promise<string[]> {
  if (addresses.length === 0) return [];
  const family = addresses.some((address) => address.includes(':')) ? ['-6', '-e', LINK] : [];
  const pace = ['--max-retries', '1', '--min-rate', '5000'];
  const flags = ['-Pn', '-n', '--send-ip', '--disable-arp-ping', '-oG', '-', ...pace];
  const args = ['nmap', '-sS', '-sU', ...family, ...flags, '-p', `T:${tcp},U:${udp}`];
  const command = ['netns', 'exec', netns, ...args, ...addresses];
  const report = await run({ file: 'ip', args: command, deadlineMs: SCAN_MS });
  const loud = [...report.matchAll(/(\d+)\/(open|closed|unfiltered)\/(tcp|udp)/gu)];
  const ignored = [...report.matchAll(/Ignored State: (closed|open) \((\d+)\)/gu)];
  return [...loud, ...ignored].map(([text]) => text);
}

/** What every machine with an address says of itself, to whoever shares the wire with it. */
export function isNeighbourly(packet: string): boolean {
  return /^(?:ARP|IP6 .* (?:ICMP6, (?:neighbor|router) |HBH ICMP6, multicast listener))/u.test(
    packet,
  );
}
