// The script of a guest: the released courier, as the agent starts it, at work and under attack.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type CourierProcess, openCourier, startConfined } from '../../../src/host/courier/keep.ts';
import { exchange, fetchParts, openStream, reachBy } from '../../../src/host/http.ts';
import { runIp } from '../../../src/host/net/ip.ts';
import { codeOf, sentenceOf } from '../../../src/lib/errors.ts';
import { MiB, MINUTE_MS } from '../../../src/lib/units.ts';
import { comesTrue, powerOff } from '../guest/ground.ts';
import { RESULT_MARK } from '../guest/mark.ts';
import { tryConfinements } from './tries.ts';

const BIG_BYTES = 64 * MiB;
const CGROUP = '/sys/fs/cgroup/zos';

/** As PID 1 does. */
function makeCgroups(): void {
  mkdirSync(CGROUP);
  for (const folder of ['/sys/fs/cgroup', CGROUP]) {
    writeFileSync(`${folder}/cgroup.subtree_control`, '+cpu +io +memory +pids');
  }
}

async function openOrigin(): Promise<string> {
  const part = Buffer.alloc(MiB, 'a');
  const server = createServer((question, answer) => {
    if (question.url === '/never') return;
    if (question.url === '/feed') {
      answer.write('one\n');
    } else if (question.url === '/big') {
      let left = BIG_BYTES;
      const more = (): void => {
        while (left > 0) {
          left -= part.length;
          if (!answer.write(part)) return;
        }
        answer.end();
      };
      answer.on('drain', more);
      more();
    } else {
      const hash = createHash('sha256');
      question.on('data', (bytes: Buffer) => hash.update(bytes));
      question.on('end', () => answer.end(`${question.method} ${hash.digest('hex').slice(0, 8)}`));
    }
  });
  // A guest that is slow to make a body would write it to a connection that was just given up.
  server.keepAliveTimeout = 10 * MINUTE_MS;
  server.listen(8081, '127.0.0.1');
  await once(server, 'listening');
  return 'http://127.0.0.1:8081';
}

const started: CourierProcess[] = [];
const said: string[] = [];
const ending = new AbortController();

function pidOf(): number {
  return Number(readFileSync(`${CGROUP}/courier/cgroup.procs`, 'utf8').trim() || '0');
}

function openOwn(): void {
  const courier = openCourier({
    start: () => {
      const one = startConfined((line) => void said.push(line));
      started.push(one);
      return one;
    },
    steady: () => performance.now(),
    sleep: async (ms, signal) => {
      await pause(ms, undefined, { signal }).catch(() => undefined);
    },
    onTrouble: (sentence) => void said.push(String(sentence)),
    pingMs: 8000,
  });
  reachBy(courier.reach);
  void courier.run(ending.signal);
}

const kibOf = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'mu').exec(text)?.[1]);

async function statusOf() {
  const pid = pidOf();
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): string =>
    new RegExp(`^${name}:\\s+(.*)$`, 'mu').exec(status)?.[1]?.replaceAll('\t', ' ') ?? '';
  const root = `/proc/${pid}/root`;
  return {
    uid: of('Uid'),
    gid: of('Gid'),
    groups: of('Groups'),
    capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(of),
    noNewPrivs: of('NoNewPrivs'),
    seccomp: of('Seccomp'),
    sees: readdirSync(root).flatMap((name) =>
      readdirSync(`${root}/${name}`).map((each) => `/${name}/${each}`),
    ),
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(3, 6).join(' ')),
    limits: readFileSync(`/proc/${pid}/limits`, 'utf8')
      .split('\n')
      .filter((line) => /core|file size|processes|open files|locked/u.test(line)),
    cgroup: readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim(),
  };
}

function memoryOf(pid: number): { anonymousKib: number; rssKib: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return { anonymousKib: kibOf(text, 'Pss_Anon'), rssKib: kibOf(text, 'Rss') };
}

async function work(url: string) {
  const body = Buffer.alloc(4 * MiB, 'b');
  await statusFrom(`${url}/x`);
  const posted = await exchange({ url: `${url}/post`, method: 'POST', body });
  const feed = await openStream({ url: `${url}/feed` });
  const first = await feed.chunks[Symbol.asyncIterator]().next();
  const idle = memoryOf(pidOf());
  let bytes = 0;
  let most = 0;
  await fetchParts({
    url: `${url}/big`,
    bytesMax: BIG_BYTES,
    deadlineMs: 120_000,
    idleMs: 30_000,
    onHead: () => undefined,
    onPart: async (part) => {
      bytes += part.length;
      // A slow reader: what is not taken must not pile up.
      if (bytes < MiB) await pause(200);
      if (bytes % (8 * MiB) < part.length) most = Math.max(most, memoryOf(pidOf()).anonymousKib);
    },
  });
  const failed = await exchange({ url: 'http://127.0.0.1:1/' }).catch(
    (error: unknown) => `${codeOf(error)} ${sentenceOf(error)}`,
  );
  return {
    posted: Buffer.from(posted.body).toString(),
    expected: createHash('sha256').update(body).digest('hex').slice(0, 8),
    first: Buffer.from((first.value as Uint8Array | undefined) ?? []).toString(),
    bytes,
    idle,
    mostKib: most,
    failed,
  };
}

/** The first whole answer in some minutes; a busy machine takes its time to start a courier. */
async function statusFrom(url: string): Promise<number | string> {
  let last: number | string = 'nothing';
  for (let looks = 0; looks < 6 && last !== 200; looks += 1) {
    last = await exchange({ url }).then(({ status }) => status, codeOf);
  }
  return last;
}

async function dies(url: string) {
  const before = pidOf();
  // One that is under way when it ends.
  const asked = exchange({ url: `${url}/never` }).catch(codeOf);
  await pause(500);
  process.kill(before, 'SIGKILL');
  const lost = await asked;
  const after = await statusFrom(`${url}/x`);
  const isOther = pidOf() !== before;
  const hung = pidOf();
  process.kill(hung, 'SIGSTOP');
  const isNew = async (): Promise<boolean> => pidOf() !== hung && pidOf() !== 0;
  const isBack = (await comesTrue(isNew)) || (await comesTrue(isNew));
  const last = await statusFrom(`${url}/x`);
  return { lost, after, isOther, isBack, last };
}

try {
  await runIp(['link set dev lo up']);
  makeCgroups();
  const url = await openOrigin();
  const tries = await tryConfinements();
  openOwn();
  const result = {
    tries,
    work: await work(url),
    status: await statusOf(),
    dies: await dies(url),
    said: [...said],
  };
  console.log(`${RESULT_MARK}${JSON.stringify(result)}`);
} catch (error) {
  console.log(`${RESULT_MARK}${JSON.stringify({ error: sentenceOf(error), said })}`);
}
await powerOff();
