import { expect, test } from 'vitest';
import { containerIdOf } from '../../src/container/plan.ts';
import type { Contract } from '../../src/contract/spec.ts';
import { MINUTE_MS, MiB, SECOND_MS } from '../../src/lib/units.ts';
import { TRIES_MAX } from '../../src/node/loop/memory.ts';
import { makeContract, makePerson } from '../support/contracts.ts';
import { Story } from '../support/node/story.ts';

const PEER = 'cc'.repeat(32);

function workloadsWith(sha256: string): Contract['workloads'] {
  return makeContract(makePerson('any')).workloads.map((workload) =>
    workload.kind === 'container'
      ? { ...workload, image: { ...workload.image, sha256 } }
      : workload,
  );
}

/** A node on which one contract runs, its peer known. */
async function running(): Promise<Story> {
  const story = new Story();
  const sha256 = story.image('a', 8 * MiB, true);
  story.ends.set(PEER, endOf(story, 1));
  story.contracts = [story.contract('SHOP', { workloads: workloadsWith(sha256) })];
  await story.pass('a contract comes, its image is here and its peer is known');
  return story;
}

function endOf(story: Story, fill: number) {
  const publicKey = Buffer.alloc(32, fill).toString('base64');
  return { znet: story.znet, publicKey, port: 51820, addresses: ['192.0.2.9'] };
}

test('a first contract, from its arrival to nothing to do', async () => {
  const story = new Story();
  const sha256 = story.image('a', 5 * MiB);
  await story.pass('the node has joined and holds no contract');
  story.contracts = [story.contract('SHOP', { workloads: workloadsWith(sha256) })];
  await story.pass('a contract comes; the image is being fetched, the peer has not spoken');
  story.image('a', 8 * MiB, true);
  await story.pass('the image is here');
  story.ends.set(PEER, endOf(story, 1));
  await story.pass('the peer tells its end of the network');
  await story.pass('a look at the machine after that');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/first-contract.txt');
});

test('after a restart nothing starts before the clock is right and the directory heard of it', async () => {
  const story = new Story();
  const sha256 = story.image('a', 8 * MiB, true);
  story.ends.set(PEER, endOf(story, 1));
  story.isClockSynced = false;
  story.mayStart = false;
  story.contracts = [story.contract('SHOP', { workloads: workloadsWith(sha256) })];
  await story.pass('the machine comes up with a stored contract');
  story.isClockSynced = true;
  await story.pass('the directory told the time');
  story.mayStart = true;
  await story.pass('it answered the first sign of life, and this is no copy');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/clock.txt');
});

test('the next version of a contract', async () => {
  const story = await running();
  const sha256 = story.image('b', 2 * MiB);
  const [first] = story.contracts;
  const next = { id: first?.id ?? '', version: 2, previous: first?.digest ?? '' };
  story.contracts = [story.contract('SHOP', { ...next, workloads: workloadsWith(sha256) })];
  await story.pass('version 2 names another image, which is being fetched: version 1 runs on');
  story.image('b', 8 * MiB, true);
  await story.pass('the image is here');
  await story.pass('a look at the machine after that');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/next-version.txt');
});

test('a cancelled contract goes, users before what they use', async () => {
  const story = await running();
  story.contracts = [];
  await story.pass('its tenant cancels it');
  await story.pass('a look at the machine after that');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/cancelled.txt');
});

test('a container that does not stay is tried slower, and given up', async () => {
  const story = await running();
  const [contract] = story.contracts;
  const id = containerIdOf(contract?.id ?? '', 'web');
  for (let round = 0; round < TRIES_MAX; round += 1) {
    story.machine.exit(id);
    await story.pass(round === 0 ? 'its program ends at once' : 'it ended again');
    story.nowMs += 2 ** round * SECOND_MS;
    if (round < TRIES_MAX - 1) await story.pass('its time has come');
  }
  await story.pass('two minutes later');
  story.nowMs += 15 * MINUTE_MS;
  await story.pass('a quarter of an hour later');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/does-not-stay.txt');
});

test('a network that came to harm is made anew with all that hangs on it', async () => {
  const story = await running();
  story.nowMs += MINUTE_MS;
  const [znet] = story.machine.znets.values();
  if (znet !== undefined) story.machine.znets.set(znet.id, { ...znet, isWhole: false });
  await story.pass('its tunnel is gone');
  await story.pass('a look at the machine after that');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/harmed-network.txt');
});

test('what fails holds back its own, and nothing else', async () => {
  const story = new Story();
  const a = story.image('a', 8 * MiB, true);
  const b = story.image('b', 8 * MiB, true);
  const alone = workloadsWith(b).flatMap((workload) =>
    workload.kind === 'container' ? [{ ...workload, znet: null }] : [],
  );
  story.ends.set(PEER, endOf(story, 1));
  story.machine.faults.set(`create znet ${story.znet}`, 'wg failed: Operation not supported');
  story.contracts = [
    story.contract('SHOP', { workloads: workloadsWith(a) }),
    story.contract('MAIL', { workloads: alone, nonce: '7'.repeat(32) }),
  ];
  await story.pass('two contracts come, and the kernel can make no tunnel');
  await story.pass('a look at the machine after that');
  story.machine.faults.clear();
  story.nowMs += SECOND_MS;
  await story.pass('a second later the kernel can');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/fault.txt');
});

test('what can not be read is not touched', async () => {
  const story = await running();
  story.machine.blind.set('container', 'crun is not installed; install it and try again.');
  story.contracts = [];
  await story.pass('its tenant cancels it, and containers can not be seen');
  story.machine.blind.clear();
  await story.pass('they can be seen again');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/unseen.txt');
});

test('a step that hangs holds up its own, and nothing that comes later', async () => {
  const story = new Story();
  const a = story.image('a', 8 * MiB, true);
  story.ends.set(PEER, endOf(story, 1));
  const shop = story.contract('SHOP', { workloads: workloadsWith(a) });
  const id = containerIdOf(shop.id, 'web');
  story.busy.set(`container ${id}`, [`image ${a}`, `znet ${story.znet}`]);
  story.contracts = [shop];
  await story.pass('a contract comes, and the first try at its container hangs');
  const alone = workloadsWith(a).flatMap((workload) =>
    workload.kind === 'container' ? [{ ...workload, znet: null }] : [],
  );
  story.contracts = [shop, story.contract('MAIL', { workloads: alone, nonce: '7'.repeat(32) })];
  await story.pass('another contract comes while it hangs');
  story.contracts = story.contracts.slice(1);
  await story.pass('the first one is cancelled while it hangs');
  story.busy.clear();
  await story.pass('the step has ended');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/hangs.txt');
});

test('an image that nobody gives is waited for, with what its sources said', async () => {
  const story = new Story();
  const sha256 = story.image('a', 5 * MiB);
  story.ends.set(PEER, endOf(story, 1));
  story.contracts = [story.contract('SHOP', { workloads: workloadsWith(sha256) })];
  await story.pass('a contract comes; its image is on the way');
  const failure = 'http://mirror.test/web answered 404; next try in 8.0 s';
  story.fetches.set(sha256, { isFetched: false, fetchedBytes: 0, failure });
  await story.pass('its only source has lost it');
  story.contracts = [];
  await story.pass('its tenant gives up');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/image-missing.txt');
});

test('a contract starts no sooner than it says', async () => {
  const story = new Story();
  const sha256 = story.image('a', 8 * MiB, true);
  story.ends.set(PEER, endOf(story, 1));
  story.contracts = [story.contract('SHOP', { workloads: workloadsWith(sha256) })];
  story.nowMs -= 2 * 60 * MINUTE_MS;
  await story.pass('it is an hour too early');
  story.nowMs += 2 * 60 * MINUTE_MS;
  await story.pass('its time has come');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/too-early.txt');
});

test('an agent that was killed finds what stands, and touches nothing of it', async () => {
  const story = await running();
  story.forget();
  story.isClockSynced = false;
  await story.pass('the next agent looks, before it knows the time');
  story.isClockSynced = true;
  await story.pass('it knows the time again');
  await expect(story.print()).toMatchFileSnapshot('../golden/node/killed.txt');
});
