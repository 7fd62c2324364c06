import { expect, test } from 'vitest';
import { printGraph } from '../../../src/bot/questions/graph.ts';
import { explanationText } from '../../../src/bot/questions/text.ts';
import type { Contract } from '../../../src/contract/spec.ts';
import { type Explanation, parseExplanation } from '../../../src/contract/explain/explanation.ts';
import { ANSWER_BYTES_MAX } from '../../../src/contract/question.ts';
import { MiB, SECOND_MS } from '../../../src/lib/units.ts';
import { explainContract, explainNode } from '../../../src/node/explain/explanation.ts';
import { GRID, makeContract, makePerson, NODE_ID } from '../../support/contracts.ts';
import { Story } from '../../support/node/story.ts';

function workloadsWith(sha256: string, name = 'web'): Contract['workloads'] {
  return makeContract(makePerson('any')).workloads.map((workload) =>
    workload.kind === 'container'
      ? { ...workload, name, image: { ...workload.image, sha256 } }
      : workload,
  );
}

function explainedOf(story: Story) {
  const { view, nowMs, waits } = story;
  if (view === undefined) throw new Error('Nothing was looked at.');
  const wallMs = (steadyMs: number): number => steadyMs;
  return { grid: GRID, node: NODE_ID, view, nowMs, wallMs, sinceMs: waits.sinceMs };
}

/** An image on its way for one contract, and another contract whose program does not stay. */
async function busyNode(): Promise<Story> {
  const story = new Story();
  const [coming, here] = [story.image('a', 5 * MiB), story.image('b', 8 * MiB, true)];
  const alone = workloadsWith(here, 'bank').flatMap((workload) =>
    workload.kind === 'container' ? [{ ...workload, znet: null }] : [],
  );
  story.contracts = [
    story.contract('SHOP', { workloads: workloadsWith(coming) }),
    story.contract('MAIL', { workloads: alone, nonce: '7'.repeat(32) }),
  ];
  story.machine.faults.set(`create container ${idOf(story, 1)}-bank`, 'bank: vault.key is damaged');
  await story.pass('both contracts come');
  story.nowMs += 40 * SECOND_MS;
  await story.pass('forty seconds later');
  story.nowMs += SECOND_MS / 2;
  await story.pass('half a second later');
  return story;
}

/** Keys are by chance, and what is made of them. */
function named(story: Story, explanation: Explanation): Explanation {
  const text = story.named(JSON.stringify(explanation)).replaceAll(/\bfd[0-9a-f:]+/gu, 'ADDRESS');
  return JSON.parse(text) as Explanation;
}

function idOf({ contracts }: Story, at: number): string {
  return (contracts[at]?.id ?? '').slice(0, 16);
}

test('a tenant is told what its contract wants, has and waits for, and for how long', async () => {
  const story = await busyNode();
  const [contract] = story.contracts;
  if (contract === undefined) throw new Error('There is no contract.');
  const explanation = parseExplanation(explainContract(explainedOf(story), contract));
  const keys = explanation.items.map(({ key }) => key).join('\n');
  // Of the other tenant's contract on the same node there is not a word.
  expect(keys).not.toContain(idOf(story, 1));
  const shown = named(story, explanation);
  const text = [
    explanationText(shown),
    printGraph(shown, 'mermaid'),
    printGraph(shown, 'dot'),
  ].join('\n');
  await expect(text).toMatchFileSnapshot('../../golden/node/explained-contract.txt');
});

test('a farmer is told of the whole node, without the names and words of tenants', async () => {
  const story = await busyNode();
  const explanation = parseExplanation(explainNode(explainedOf(story)));
  const text = explanationText(named(story, explanation));
  expect(text).not.toMatch(/bank|vault|web/u);
  expect(text).toContain('it failed; its tenant is told how');
  await expect(text).toMatchFileSnapshot('../../golden/node/explained-node.txt');
});

test('what has no room in an answer is left out from its end, where nothing is to be done', async () => {
  const story = new Story();
  const sha256 = story.image('a', 8 * MiB, true);
  const [, container] = workloadsWith(sha256);
  if (container?.kind !== 'container') throw new Error('It has another form.');
  const many = Array.from({ length: 40 }, (_, at) => ({
    ...container,
    name: `c${at}`,
    memoryBytes: 8 * MiB,
    cpuMillis: 10,
    znet: null,
  }));
  const resources = { cpuMillis: 400, memoryBytes: 320 * MiB, ssdBytes: 8 * 40 * MiB, hddBytes: 0 };
  story.contracts = Array.from({ length: 8 }, (_, at) =>
    story.contract('MANY', { workloads: many, resources, nonce: `${at}`.repeat(32) }),
  );
  await story.pass('hundreds of containers come');
  await story.pass('they run');
  const bytes = explainNode(explainedOf(story));
  expect(bytes.length).toBeLessThanOrEqual(ANSWER_BYTES_MAX);
  const { items, leftOut } = parseExplanation(bytes);
  expect(items.length + leftOut).toBe(322);
  expect(leftOut).toBeGreaterThan(0);
});

test('a wait is as old as what it waits for, whatever numbers change in it', async () => {
  const story = new Story();
  const sha256 = story.image('a', MiB);
  story.contracts = [story.contract('SHOP', { workloads: workloadsWith(sha256) })];
  await story.pass('it comes');
  story.nowMs += 30 * SECOND_MS;
  story.image('a', 2 * MiB);
  await story.pass('a part of the image is here');
  const { items } = parseExplanation(explainNode(explainedOf(story)));
  const [wait] = items.find(({ key }) => key === `image ${sha256}`)?.waits ?? [];
  expect(wait).toMatchObject({ because: 'fact', sinceMs: story.nowMs - 30 * SECOND_MS });
  expect(wait?.sentence).toContain('2.0 MiB of 8.0 MiB');
});
