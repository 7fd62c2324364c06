import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Look } from '../../../src/contract/diagnosis/look.ts';
import { kernelLine } from '../../../src/host/inspect/kernel-log.ts';
import { codeOf } from '../../../src/lib/errors.ts';
import { openLook } from '../../../src/node/diagnosis/look.ts';
import type { Asked } from '../../../src/node/questions.ts';
import { makePerson } from '../../support/contracts.ts';

const farmer = makePerson('farmer');

function open(by: { readonly id?: string } = farmer) {
  return openLook({
    farmer: () => by.id,
    isClockSynced: () => true,
    steady: () => 5000,
  });
}

async function ask(answer: ReturnType<typeof open>, tenant: string, look: Look): Promise<string> {
  const question = { look, tenant } as Asked<'look'>;
  return answer(question).then((bytes) => new TextDecoder().decode(bytes), codeOf);
}

test('the farmer of a node looks at it, and nobody else learns anything', async () => {
  const stranger = makePerson('stranger');
  expect(await ask(open(), stranger.id, { what: 'clock' })).toBe('ASKER_FOREIGN');
  expect(await ask(open({}), farmer.id, { what: 'clock' })).toBe('ASKER_FOREIGN');
  const told = await ask(open(), farmer.id, { what: 'clock' });
  expect(told).toMatch(/^20\d\d-.*Z, right, by the directory’s signed word; the agent runs for 5/u);
});

test('what takes a connection is told from what does not', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const look = { what: 'reach', host: '127.0.0.1', port } as const;
  expect(await ask(open(), farmer.id, look)).toMatch(/port \d+: reached 127\.0\.0\.1 \(\d+ ms\)/u);
  server.close();
  await once(server, 'close');
  expect(await ask(open(), farmer.id, look)).toContain('ECONNREFUSED');
});

test('one look at a time: who asks again meanwhile is told so', async () => {
  const answer = open();
  const [first, second] = await Promise.all([
    ask(answer, farmer.id, { what: 'disks' }),
    ask(answer, farmer.id, { what: 'clock' }),
  ]);
  expect(first).not.toContain('another look');
  expect(second).toBe('The node is at another look of yours; ask again.\n');
});

test('the kernel’s log is told without what it says of tenants’ programs', () => {
  expect(kernelLine('6,339,5140900,-;e1000: eth0 NIC Link is Up\n SUBSYSTEM=pci\n')).toBe(
    '[       5.141] e1000: eth0 NIC Link is Up',
  );
  for (const text of [
    'Memory cgroup out of memory: Killed process 71 (secret-app) total-vm:1kB',
    'oom-kill:constraint=CONSTRAINT_MEMCG,task=secret-app,pid=71,uid=1000',
    'CPU: 0 PID: 71 Comm: secret-app Not tainted',
    'secret-app[71]: segfault at 0 ip 00005581 sp 00007ffe error 4 in secret-app[5581]',
    'audit: type=1326 audit(1:2): comm="secret-app" exe="/secret-app"',
  ]) {
    expect(kernelLine(`4,340,5140900,-;${text}\n`)).toBeUndefined();
  }
});
