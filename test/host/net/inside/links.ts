// Runs in namespaces of its own; see `runInside`.
import { sentenceOf } from '../../../../src/lib/errors.ts';
import { listLinks, listNamespaces, listRoutes, runIp } from '../../../../src/host/net/ip.ts';
import { run } from '../../../../src/host/exec.ts';
import { insideNamespace } from '../../../../src/host/net/ip.ts';
import { FORWARD_IPV6, writeSettings } from '../../../../src/host/net/settings.ts';

const netns = 'zn-'.padEnd(35, 'a');
await runIp([`netns add ${netns}`, `link add dev out type veth peer name in netns ${netns}`]);
await runIp(
  [
    'link set dev in mtu 1420 addrgenmode none up',
    'address add fd00::1/64 dev in nodad',
    'link set dev in alias abab',
  ],
  { netns },
);
await runIp(['link set dev out up']);
const inside = await listLinks({ netns });
const routes = await listRoutes(6, { netns });
const byPid = (await listLinks({ netns: { pid: process.pid } })).map(({ name }) => name);

// A line that fails ends the batch: what comes behind it is not done.
const failure = await runIp([
  'link add dev one type veth peer name two',
  'link set dev none up',
  'link del dev one',
]).then(() => 'done', sentenceOf);
const left = (await listLinks()).map(({ name }) => name);

await writeSettings({ netns, paths: [FORWARD_IPV6], value: '1' });
const read = ['cat', FORWARD_IPV6];
const forward = {
  inside: (await run({ file: 'ip', args: insideNamespace(netns, read) })).trim(),
  outside: (await run({ file: 'cat', args: [FORWARD_IPV6] })).trim(),
};
const before = await listNamespaces();
await runIp([`netns del ${netns}`]);
const after = await listNamespaces();
console.log(JSON.stringify({ inside, routes, byPid, failure, left, forward, before, after }));
