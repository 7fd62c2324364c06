import { cpSync, rmSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { contractDigest, signCancellation, signContract } from '../../../src/contract/sign.ts';
import { sha256Hex } from '../../../src/lib/bytes.ts';
import type { NoteSigner } from '../../../src/record/note.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { type Envelope, untrustedPayload } from '../../../src/identity/envelope.ts';
import { putLetter } from '../../../src/sdk/letters.ts';
import { GRID, makePerson, type Person } from '../../support/contracts.ts';
import type { TestAgent } from '../../support/node/agent.ts';
import {
  containersOf,
  type Ground,
  openGround,
  runs,
  seenBy,
  says,
  soon,
} from '../../support/hostile/ground.ts';
import {
  askWitnesses,
  headSize,
  HISTORIES,
  isAtRest,
  isPublished,
} from '../../support/hostile/lies.ts';

// Whoever owns the database and the log's key against real nodes, witnesses and a real directory.
vi.setConfig({ testTimeout: 240_000 });

function payloadOf({ payload }: Envelope): Record<string, unknown> {
  return JSON.parse(Buffer.from(payload, 'base64').toString()) as Record<string, unknown>;
}

function withPayload(envelope: Envelope, value: unknown): Envelope {
  return { ...envelope, payload: Buffer.from(JSON.stringify(value)).toString('base64') };
}

const mallory = makePerson('mallory');

type Change = {
  readonly name: string;
  readonly refused: string;
  /** What stands in the books in place of what the tenant signed. */
  readonly make: (contract: Envelope, tenant: Person) => { contract: Envelope; tenant?: Envelope };
};

const CHANGES: readonly Change[] = [
  {
    name: 'other arguments',
    refused: 'ENVELOPE_UNTRUSTED',
    make: (contract) => {
      const { nonce, ...rest } = payloadOf(contract);
      return {
        contract: withPayload(contract, { ...rest, nonce: String(nonce).replace(/./u, '1') }),
      };
    },
  },
  {
    name: 'the same under another’s key',
    refused: 'TENANT_MISMATCH',
    make: (contract) => ({
      contract: signContract(payloadOf(contract) as never, mallory.keys.signing),
      tenant: mallory.document,
    }),
  },
  {
    name: 'another’s whole contract',
    refused: 'INCLUSION_INVALID',
    make: (contract) => {
      const stolen = { ...payloadOf(contract), tenant: mallory.id };
      return {
        contract: signContract(stolen as never, mallory.keys.signing),
        tenant: mallory.document,
      };
    },
  },
  {
    name: 'the tenant’s contract of another grid',
    refused: 'GRID_FOREIGN',
    make: (contract, tenant) => ({
      contract: signContract(
        { ...payloadOf(contract), grid: 'other' } as never,
        tenant.keys.signing,
      ),
    }),
  },
];

test('what a tenant did not sign, or not like this, is refused by the node and never starts', async () => {
  await using ground = await openGround();
  const { owner } = ground;
  const first = await ground.addNode();
  const kept = await ground.deploy(first);
  await first.stop();
  const sent = CHANGES.map((change) => ({ change, carried: ground.contract(first) }));
  for (const { carried } of sent) await ground.submit(carried);
  await ground.whileDown(() => {
    owner.change(`INSERT INTO bundles (digest, bundle) VALUES ('mallory', :bundle)`, {
      bundle: JSON.stringify(mallory.document),
    });
    for (const { change, carried } of sent) {
      const { contract, tenant } = change.make(carried.contract, ground.tenant);
      const values = { text: JSON.stringify(contract), id: contractDigest(carried.contract) };
      const named = tenant === undefined ? '' : `, bundle = 'mallory'`;
      const sql = `UPDATE versions SET envelope = :text${named} WHERE digest = :id`;
      expect(owner.change(sql, values)).toBe(1);
    }
  });
  const agent = await ground.addNode(first);
  for (const { refused } of CHANGES) {
    await says(agent, new RegExp(`refused contract .*${refused}`, 'u'));
  }
  expect(containersOf(agent)).toEqual([expect.stringContaining(kept.slice(0, 16))]);
});

test('another node’s contract, and another key for a person, are refused by who gets them', async () => {
  await using ground = await openGround();
  const { owner, client, tenant } = ground;
  const one = await ground.addNode();
  const two = await ground.addNode();
  await one.stop();
  const id = await ground.submit(ground.contract(one));
  await soon(two, async () => isPublished(ground, id));
  await ground.whileDown(() => {
    const values = { id, node: two.self.identity.id };
    expect(owner.change('UPDATE contracts SET node = :node WHERE id = :id', values)).toBe(1);
    const swap = { envelope: JSON.stringify(mallory.document), id: tenant.id };
    const sql = 'UPDATE identities SET envelope = :envelope WHERE id = :id';
    expect(owner.change(sql, swap)).toBe(1);
  });
  await says(two, /refused contract .*NODE_FOREIGN/u);
  expect(containersOf(two)).toEqual([]);
  const shown = await client.identity(tenant.id);
  expect(() => verifyIdentity(shown, tenant.id)).toThrow(/another identity/u);
});

/** Tells each lie from the same honest books, and puts those back after it. */
async function tellAll(
  ground: Ground,
  { agent, cosigners }: { agent: TestAgent; cosigners: readonly NoteSigner[] },
  look: (code: string, from: number) => Promise<void>,
): Promise<void> {
  const { owner } = ground;
  const backup = `${owner.folder}-backup`;
  for (const [, code, lie] of HISTORIES) {
    await isAtRest(ground, agent);
    const from = agent.lines.length;
    await ground.whileDown(() => {
      rmSync(backup, { recursive: true, force: true });
      cpSync(owner.folder, backup, { recursive: true });
      lie(ground);
      owner.show(cosigners);
    });
    await look(code, from);
    await ground.whileDown(() => {
      rmSync(owner.folder, { recursive: true });
      cpSync(backup, owner.folder, { recursive: true });
    });
    await says(agent, /the alarm is over/u, from);
  }
}

test('a second history: no witness signs it, and nodes raise an alarm within one heartbeat', async () => {
  await using ground = await openGround();
  const agent = await ground.addNode();
  const kept = await ground.deploy(agent);
  await tellAll(ground, { agent, cosigners: [] }, async (_code, from) => {
    await says(agent, /ALARM QUORUM_MISSING/u, from);
    await soon(agent, async () => (await seenBy(ground, agent))?.alarm?.code === 'QUORUM_MISSING');
    // What ran goes on, and nothing else starts: the books take nothing more either.
    const sent = ground.submit(ground.contract(agent));
    await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/^RECORD_/u) });
    expect(containersOf(agent)).toEqual([expect.stringContaining(kept.slice(0, 16))]);
    const seen = (await seenBy(ground, agent))?.size ?? 0;
    await ground.kill();
    const answers = await askWitnesses(ground, seen);
    expect(answers.filter((status) => status !== 409 && status !== 422)).toEqual([]);
  });
});

test('a second history that two of three witnesses sign is noticed by the nodes all the same', async () => {
  await using ground = await openGround();
  const agent = await ground.addNode();
  await ground.deploy(agent);
  const cosigners = ground.witnesses.slice(0, 2).map(({ store }) => store.signer);
  await tellAll(ground, { agent, cosigners }, async (code, from) => {
    await says(agent, new RegExp(`ALARM ${code}`, 'u'), from);
    await soon(agent, async () => (await seenBy(ground, agent))?.alarm?.code === code);
  });
  expect(agent.lines.filter((line) => line.includes('the alarm is over'))).toHaveLength(4);
});

test('an old backup: the directory says so and writes nothing, and nodes raise an alarm', async () => {
  await using ground = await openGround();
  const { owner } = ground;
  const agent = await ground.addNode();
  await ground.deploy(agent);
  const backup = `${owner.folder}-backup`;
  await ground.whileDown(() => cpSync(owner.folder, backup, { recursive: true }));
  const second = await ground.deploy(agent);
  const size = await headSize(ground);
  await soon(agent, async () => ((await seenBy(ground, agent))?.size ?? 0) >= size);
  await ground.whileDown(() => {
    rmSync(owner.folder, { recursive: true });
    cpSync(backup, owner.folder, { recursive: true });
  });
  await says(agent, /ALARM HEAD_STALE/u);
  const sent = ground.submit(ground.contract(agent));
  await expect(sent).rejects.toMatchObject({ code: 'RECORD_BEHIND' });
  expect(containersOf(agent)).toContainEqual(expect.stringContaining(second.slice(0, 16)));
});

test('a cancellation that is kept back is an alarm, and is obeyed out of a letter box', async () => {
  await using ground = await openGround();
  const { owner, client, tenant } = ground;
  const first = await ground.addNode();
  const id = await ground.deploy(first);
  await first.stop();
  const node = first.self.identity.id;
  const said = { grid: GRID, contract: id, tenant: tenant.id, node, atMs: Date.now() };
  const letter = {
    cancellation: signCancellation(said, tenant.keys.signing),
    tenant: tenant.document,
  };
  await client.cancelContract(letter);
  const digest = sha256Hex(untrustedPayload(letter.cancellation, 'cancellation'));
  await soon(first, async () => isPublished(ground, digest));
  await ground.whileDown(() => {
    expect(owner.change('DELETE FROM cancellations')).toBe(1);
    owner.change('UPDATE contracts SET is_live = 1, is_booked = 1');
  });
  const agent = await ground.addNode(first);
  await says(agent, /ALARM ENTRY_WITHHELD/u);
  await soon(agent, async () => (await seenBy(ground, agent))?.alarm?.code === 'ENTRY_WITHHELD');
  // Nobody can make the node forget what it runs, and the tenant’s word comes another way.
  const [witness] = ground.witnesses;
  await putLetter({ url: witness?.url ?? '' }, letter);
  await says(agent, /obeyed a cancellation out of a witness/u);
  await soon(agent, () => containersOf(agent).length === 0);
});

test('an honest directory raises no alarm; killed, it is no hindrance to a cancellation', async () => {
  await using ground = await openGround();
  const { tenant } = ground;
  const agent = await ground.addNode();
  const id = await ground.deploy(agent);
  await ground.whileDown(() => undefined);
  const second = await ground.deploy(agent);
  await runs(agent, id);
  expect(agent.lines.filter((line) => /ALARM|refused/u.test(line))).toEqual([]);
  expect((await seenBy(ground, agent))?.alarm).toBeNull();
  await ground.kill();
  const node = agent.self.identity.id;
  const said = { grid: GRID, contract: id, tenant: tenant.id, node, atMs: Date.now() };
  const cancellation = signCancellation(said, tenant.keys.signing);
  const [witness] = ground.witnesses;
  await putLetter({ url: witness?.url ?? '' }, { cancellation, tenant: tenant.document });
  await soon(agent, () => containersOf(agent).length === 1);
  await ground.whileDown(() => undefined);
  await says(agent, /directory is back/u);
  expect(containersOf(agent)).toEqual([expect.stringContaining(second.slice(0, 16))]);
});
