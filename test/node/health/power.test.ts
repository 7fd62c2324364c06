import { expect, test } from 'vitest';
import { powerAnswerSchema, type PowerOrder } from '../../../src/contract/health/power.ts';
import { openAnswer, questionId } from '../../../src/contract/question.ts';
import { signQuestion } from '../../../src/contract/sign.ts';
import type { AgentParts } from '../../../src/node/agent.ts';
import { MINUTE_MS } from '../../../src/lib/units.ts';
import { startAgent, type TestAgent, until } from '../../support/node/agent.ts';
import { GRID } from '../../support/contracts.ts';
import { type TestDirectory } from '../../support/directory.ts';
import { contractFor, type Farmer, freshNonce } from '../../support/identity/farm.ts';
import {
  IMAGE,
  joined,
  lonely,
  nodeOf,
  openGrid,
  startApproved,
  stateOf,
  submit,
} from '../../support/node/grid.ts';

/** What was done to a machine, whose card can wake it unless told. */
function machine(canWake = true) {
  const done: string[] = [];
  const power: AgentParts['power'] = {
    armCards: async () => {
      if (canWake) done.push('armed');
      return canWake;
    },
    callCards: async (macs) => {
      done.push(`called ${macs.join(' ')}`);
      return 1;
    },
    switchOff: async () => void done.push('off'),
    isOnTrial: async () => false,
    sinceKernelStartMs: () => 10 * MINUTE_MS,
  };
  return { power, done };
}

type Ask = {
  readonly directory: TestDirectory;
  readonly agent: TestAgent;
  readonly asker: Pick<Farmer, 'id' | 'document' | 'keys'>;
  readonly order: PowerOrder;
  readonly atMs?: number;
};

/** Puts a signed order before a node, as a bot does. */
async function ask({ directory, agent, asker, order, atMs }: Ask) {
  const question = signQuestion(
    {
      grid: GRID,
      ask: 'power',
      order,
      node: agent.self.identity.id,
      tenant: asker.id,
      nonce: freshNonce(),
      atMs: atMs ?? directory.clock.nowMs + MINUTE_MS,
    },
    asker.keys.signing,
  );
  await directory.client.askQuestion({ question, tenant: asker.document });
  const id = questionId(question);
  return async () => {
    const envelope = await directory.client.answer(id);
    if (envelope === null) return undefined;
    const expected = { node: agent.self.identity, grid: GRID, question: id };
    const bytes = openAnswer(envelope, expected, asker.keys.sealing.secretKey);
    return powerAnswerSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  };
}

async function answered(wish: Ask) {
  return until(await ask(wish), (said) => said !== undefined);
}

test('an idle node goes to sleep at its farmer’s word, and says so before it does', async () => {
  const { directory, farmer } = await openGrid();
  await using _directory = directory;
  const { power, done } = machine();
  await using agent = await startApproved({ directory, farmer, power });
  const said = await answered({ directory, agent, asker: farmer, order: { do: 'sleep' } });
  expect(said?.isDone).toBe(true);
  await until(
    () => done,
    (now) => now.includes('off'),
  );
  expect(done).toEqual(['armed', 'off']);
  const { heartbeat } = await directory.client.node(agent.self.identity.id);
  expect(heartbeat?.payload.isAsleep).toBe(true);
});

test('a neighbour calls the cards that the farmer names, and nobody else may ask', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  const { power, done } = machine();
  await using agent = await startAgent({ directory, farmer, power });
  await joined(directory, 1);
  const cards = ['52:54:00:5a:00:02'];
  const order = { do: 'wake', cards } as const;
  await ask({ directory, agent, asker: tenant, order });
  await until(
    () => agent.lines,
    (lines) => lines.some((line) => line.includes('refused question: ASKER_FOREIGN')),
  );
  expect(done).toEqual([]);
  const said = await answered({ directory, agent, asker: farmer, order });
  expect(said).toEqual({ isDone: true, sentence: `It called ${cards[0]} on 1 of its wires.` });
  expect(done).toEqual([`called ${cards[0]}`]);
});

test('a node with contracts stays up, and so does one that nothing could wake', async () => {
  const { directory, farmer, tenant } = await openGrid();
  await using _directory = directory;
  const { power, done } = machine(false);
  await using agent = await startAgent({ directory, farmer, power });
  await joined(directory, 1);
  const wish = { directory, agent, asker: farmer, order: { do: 'sleep' } } as const;
  expect(await answered(wish)).toEqual({
    isDone: false,
    sentence: 'None of its network cards can wake it, so it would not come back.',
  });
  agent.images.add(IMAGE);
  const id = await submit(directory, contractFor(tenant, nodeOf(agent), lonely()));
  await stateOf(directory, agent, { id, state: 'running' });
  expect(await answered(wish)).toEqual({
    isDone: false,
    sentence: 'It holds 1 contracts, and sleeps only without any.',
  });
  expect(done).toEqual([]);
});

test('an order of before a start wakes and sleeps nobody after it', async () => {
  const { directory, farmer } = await openGrid();
  await using _directory = directory;
  const { power, done } = machine();
  const young = { ...power, sinceKernelStartMs: () => MINUTE_MS };
  await using agent = await startAgent({ directory, farmer, power: young });
  await joined(directory, 1);
  const atMs = directory.clock.nowMs - 2 * MINUTE_MS;
  const wish = { directory, agent, asker: farmer, order: { do: 'sleep' }, atMs } as const;
  expect((await answered(wish))?.sentence).toBe('That was asked before this start; ask again.');
  expect(done).toEqual([]);
});
