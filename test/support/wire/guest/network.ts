// Runs in a guest with two ends of five wires; see `runInGuest` and network.journey.test.ts.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  loadModules,
  loadModulesForDevices,
  readModuleIndex,
} from '../../../../src/host/modules.ts';
import { hostRules } from '../../../../src/host/net/firewall.ts';
import { hardenKernel } from '../../../../src/host/kernel/hardening.ts';
import { runIp } from '../../../../src/host/net/ip.ts';
import { loadRules } from '../../../../src/host/net/nft.ts';
import { exchange, useWayOut } from '../../../../src/host/http.ts';
import { textOf } from '../../../../src/lib/bytes.ts';
import { sentenceOf } from '../../../../src/lib/errors.ts';
import { keepUplinks } from '../../../../src/uplink/apply-kept.ts';
import type { UplinkView } from '../../../../src/uplink/apply.ts';
import { uplinkSettingsSchema } from '../../../../src/uplink/spec.ts';
import { powerOff } from '../../guest/ground.ts';
import { RESULT_MARK } from '../../guest/mark.ts';
import { openProxy } from '../proxy.ts';
import { countInLog, macOf, openRouter, openSwitch, startDhcp, startInside } from './router.ts';

/** As long as the slowest switches take (an issue of CoreOS says 62 to 70 s). */
const SWITCH_MS = 70_000;
/** Generous: machines that test are busy. */
const WAIT_MS = 180_000;

const [LEFT, RIGHT, FIXED] = (['left', 'right', 'fixed'] as const).map((wire) =>
  macOf(wire, 'node'),
);
const settings = uplinkSettingsSchema.parse({
  uplinks: [
    { macs: [RIGHT, LEFT], vlan: 40, addresses: 'automatic' },
    { macs: [LEFT, RIGHT], vlan: 41, addresses: ['10.41.0.2/24'] },
    { macs: [FIXED], addresses: ['10.5.0.2/24', 'fd05::2/64'], mtuBytes: 1400 },
  ],
});

const steady = (): number => performance.now();
const views: UplinkView[] = [];
const last = (): UplinkView | undefined => views.at(-1);
const told: string[] = [];
const troubles: string[] = [];
const ending = new AbortController();

/** How long something took to come true, in ms; throws what is waited for when it does not. */
async function took(what: string, isTrue: () => boolean, longest = WAIT_MS): Promise<number> {
  const began = steady();
  while (!isTrue()) {
    if (steady() - began > longest) {
      const waits = [...(last()?.waits ?? []), ...troubles].join('; ');
      throw new Error(`${what}: not after ${longest} ms; ${waits}`);
    }
    await sleep(100);
  }
  console.log(`took ${what} ${Math.round(steady() - began)}`);
  return Math.round(steady() - began);
}

const addressOn = (link: RegExp, family: RegExp): boolean =>
  last()?.addresses.some((one) => link.test(one.link) && family.test(one.address)) === true;
/** A link by the wire that its card is on. */
function linkOn(wire: Parameters<typeof macOf>[0]): string {
  const mac = macOf(wire, 'node');
  return last()?.have.links.find((link) => link.permanentMac === mac)?.name ?? '';
}
const isOn = (wire: Parameters<typeof macOf>[0], family: RegExp): boolean =>
  addressOn(new RegExp(`^${linkOn(wire)}$`, 'u'), family);
const waitsFor = (what: string): boolean =>
  last()?.waits.some((wait) => wait.includes(what)) === true;

async function get(url: string, body?: Uint8Array): Promise<string> {
  try {
    const upload = body === undefined ? {} : { method: 'POST' as const, body };
    return textOf((await exchange({ url, deadlineMs: 30_000, ...upload })).body);
  } catch (error) {
    return sentenceOf(error);
  }
}

/** Asks whoever plays the hands of a person at the machine. */
function plug(wire: string, how: 'pull' | 'put'): void {
  console.log(`cable ${how} ${wire}`);
}

async function tryFirst(): Promise<unknown> {
  startDhcp('dhcp', [
    '--dhcp-range=10.1.0.10,10.1.0.20,2m',
    // Renewed each 10 s (option 58).
    '--dhcp-option-force=58,10',
    '--dhcp-option=6,10.1.0.1',
    '--address=/four.test/10.1.0.1',
  ]);
  startDhcp('six', [
    '--enable-ra',
    '--dhcp-range=fd04::,ra-stateless,64,1h',
    '--dhcp-option=option6:dns-server,[fd04::1]',
    '--address=/six.test/fd04::1',
  ]);
  const dhcpMs = await took('dhcp', () => isOn('dhcp', /^10\.1\./u));
  const sixMs = await took('six', () => isOn('six', /^fd04:/u));
  const fixed = await took('fixed', () => isOn('fixed', /^10\.5\.0\.2$/u));
  await took('name servers', () => last()?.way.nameServers.includes('fd04::1') === true);
  return {
    times: { dhcpMs, sixMs, fixed },
    nameServers: last()?.way.nameServers,
    mtuBytes: last()?.have.links.find(({ name }) => name === linkOn('fixed'))?.mtuBytes,
    four: await get('http://four.test/name'),
    resolver: readFileSync('/run/resolv.conf', 'utf8').split('\n')[0],
  };
}

async function tryCable(): Promise<unknown> {
  plug('dhcp', 'pull');
  const seenMs = await took('pulled', () => waitsFor(`a cable in ${linkOn('dhcp')}`));
  await took('lost', () => !isOn('dhcp', /^10\.1\./u));
  // With IPv6 alone: its address, its DNS server, its name.
  const six = await get('http://six.test/name');
  const { nameServers } = last()?.way ?? {};
  plug('dhcp', 'put');
  const backMs = await took('back', () => isOn('dhcp', /^10\.1\./u));
  return { seenMs, backMs, six, nameServers };
}

async function tryClient(): Promise<unknown> {
  const before = countInLog('dhcp', 'DHCPDISCOVER');
  const requests = countInLog('dhcp', 'DHCPREQUEST');
  await took('renewed twice', () => countInLog('dhcp', 'DHCPREQUEST') >= requests + 2);
  const isRenewed = countInLog('dhcp', 'DHCPDISCOVER') === before;
  const pid = Number(readFileSync('/run/dhcpcd/pid', 'utf8'));
  process.kill(pid, 'SIGKILL');
  const againMs = await took(
    'client again',
    () => Number(readFileSync('/run/dhcpcd/pid', 'utf8')) !== pid && last()?.have.leased !== null,
  );
  return { isRenewed, againMs, isThere: isOn('dhcp', /^10\.1\./u) };
}

/** More than a window of big packets, to behind a link that is smaller and tells nobody. */
async function tryHole(): Promise<unknown> {
  const body = new Uint8Array(300_000).fill(7);
  return { answer: await get('http://10.9.0.2:8080/upload', body) };
}

async function tryProxy(): Promise<unknown> {
  const proxy = 'http://10.5.0.1:3128';
  useWayOut({ proxy, nameServers: [] });
  const through = await get('http://mirror.example:8080/through');
  useWayOut(last()?.way ?? { proxy: null, nameServers: [] });
  return { through, asked: await get('http://10.5.0.1:8081/asked') };
}

async function tryBundle(startedMs: number): Promise<unknown> {
  const waited = told.some((text) => text.includes('the switch to answer LACP on bond0'));
  await took('switch', () => steady() - startedMs >= SWITCH_MS, SWITCH_MS);
  await openSwitch();
  const bundleMs = await took('vlan 40', () => addressOn(/^vlan0$/u, /^10\.40\./u));
  await took('vlan 41', () => addressOn(/^vlan1$/u, /^10\.41\./u));
  await startInside('router', 'pages');
  const both = await pageOf('http://10.41.0.1:8082/');
  plug('left', 'pull');
  await took('one left', () => waitsFor(`a cable in ${linkOn('left')}`));
  const one = await pageOf('http://10.41.0.1:8082/');
  return { waited, bundleMs, both, one };
}

/** The other side takes a moment to begin. */
async function pageOf(url: string): Promise<string> {
  let text = '';
  for (let look = 0; look < 50 && !text.startsWith('page'); look += 1) {
    text = await get(url);
    await sleep(200);
  }
  return text;
}

async function main(): Promise<void> {
  const result: Record<string, unknown> = {};
  try {
    const index = await readModuleIndex();
    await loadModules(index, ['nf_tables', 'nft_ct', 'veth']);
    await loadModulesForDevices(index);
    const soft = await hardenKernel();
    if (soft.length > 0) console.log(`soft ${soft.join('; ')}`);
    await loadRules(hostRules());
    await runIp(['link set dev lo up']);
    await openRouter();
    await startInside('router', 'serve');
    await startInside('far', 'serve');
    const startedMs = steady();
    const kept = keepUplinks(
      {
        settings: () => settings,
        ground: { asFirmware: false },
        onView: (view) => {
          views.push(view);
          useWayOut(view.way);
          for (const { step, failure } of view.done) {
            console.log(`did ${JSON.stringify(step)} ${failure ?? ''}`);
          }
          for (const wait of view.waits) {
            if (told.at(-1) !== wait) console.log(`waits for ${wait}`);
            told.push(wait);
          }
        },
        onTrouble: (error) => troubles.push(sentenceOf(error)),
        sleep: async (ms) => sleep(ms),
        steady,
      },
      ending.signal,
    );
    result['first'] = await tryFirst();
    result['cable'] = await tryCable();
    result['client'] = await tryClient();
    result['hole'] = await tryHole();
    result['proxy'] = await tryProxy();
    result['bundle'] = await tryBundle(startedMs);
    result['failures'] = views.flatMap(({ done }) =>
      done.flatMap(({ step, failure }) => (failure === null ? [] : [`${step.do} ${failure}`])),
    );
    ending.abort();
    await kept;
  } catch (error) {
    result['error'] = error instanceof Error ? `${error.stack}` : String(error);
  }
  console.log(RESULT_MARK + JSON.stringify(result));
  await powerOff();
}

/** What the other end serves: pages, a proxy, and what that was asked for. */
async function serve(): Promise<void> {
  const proxy = await openProxy({ host: '0.0.0.0', port: 3128 });
  createServer((question, answer) => {
    let lengthBytes = 0;
    question.on('data', (part: Buffer) => (lengthBytes += part.length));
    question.on('end', () => answer.end(`page ${question.headers.host} ${lengthBytes}`));
  }).listen(8080);
  createServer((_, answer) => answer.end('page by name')).listen(80);
  createServer((_, answer) => answer.end(proxy.asked.join(' '))).listen(8081);
}

const [, , role] = process.argv;
if (role === undefined) await main();
else if (role === 'serve') await serve();
else createServer((_, answer) => answer.end('page of a VLAN')).listen(8082);
