// Runs in a guest that joins its two cards into one wire, as bad as it is told to be; see
// `openBadWire`. Its orders come by the second serial port, a line each.
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { run } from '../../../../src/host/exec.ts';
import {
  loadModules,
  loadModulesForDevices,
  readModuleIndex,
} from '../../../../src/host/modules.ts';
import { isCard, listLinks, runIp } from '../../../../src/host/net/ip.ts';
import { sentenceOf } from '../../../../src/lib/errors.ts';

const index = await readModuleIndex();
await loadModules(index, ['bridge']);
await loadModulesForDevices(index);
// The kernel's own module, which no image of ours holds.
await run({ file: '/sbin/init', args: ['load', '/tmp/sch_netem.ko.xz'] });
const cards = (await listLinks()).filter(isCard).map(({ name }) => name);
await runIp([
  'link add joined type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
  ...cards.flatMap((name) => [`link set dev ${name} master joined`, `link set dev ${name} up`]),
  'link set dev joined up',
]);

/** Each way loses and delays as much: `loss 20% delay 250ms`. */
async function obey(order: string): Promise<void> {
  for (const name of cards) {
    const words = order.split(' ');
    const args = ['qdisc', 'replace', 'dev', name, 'root', 'netem', 'limit', '10000', ...words];
    await new Promise<void>((resolve, reject) => {
      const all = ['--library-path', '/tmp', '/tmp/tc', ...args];
      spawn('/tmp/ld.so', all, { stdio: 'inherit' }).on('exit', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`tc ended with ${code}`));
      });
    });
  }
}

console.log(`wire joined ${cards.length}`);
const orders = createInterface({ input: createReadStream('/dev/ttyS1') });
for await (const order of orders) {
  if (order.trim() === '') continue;
  await obey(order.trim()).then(
    () => console.log(`wire is ${order.trim()}`),
    (error: unknown) => console.log(`wire failed ${sentenceOf(error)}`),
  );
}
