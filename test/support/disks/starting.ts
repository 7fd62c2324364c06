// Runs in a guest as its only program; see `runInGuest`. Disks as a start may find them.
import { setTimeout as sleep } from 'node:timers/promises';
import { signConsent } from '../../../src/disk/consent.ts';
import { verifyIdentity } from '../../../src/identity/document.ts';
import { observeDisks } from '../../../src/disk/observe.ts';
import { readContent } from '../../../src/host/disk.ts';
import { openSelf } from '../../../src/node/bringup/identity.ts';
import { openConsents } from '../../../src/node/disks/consents.ts';
import { nodeFolder, type OwnDisks } from '../../../src/node/disks/opening.ts';
import { openOwnSelf } from '../../../src/node/identity/opening.ts';
import type { Wants } from '../../../src/contract/wants.ts';
import { GRID } from '../contracts.ts';
import { prepareMachine } from '../guest/ground.ts';
import { FARM, loadDisks, openNode, tell } from './ground.ts';

const node = openNode(false);

/** A node whose key may be on a disk that can't be read makes no new one. */
async function tryLost(disk: OwnDisks): Promise<unknown> {
  const ending = new AbortController();
  const stop = async (): Promise<void> => {
    ending.abort();
    await sleep(1);
  };
  const parts = { folder: '/run/elsewhere', disk, console: node.console, loader: null };
  const isRefused = await openOwnSelf({ ...parts, sleep: stop }, ending.signal).then(
    () => false,
    () => true,
  );
  return { isRefused, waits: node.console.waiting().map(({ what }) => what) };
}

/** The farmer's word, as it comes with what the directory has for the node. */
function consentTo(serial: string, what: 'take' | 'wipe', whose: string): Wants['diskConsents'] {
  const consent = {
    grid: GRID,
    farm: FARM,
    farmer: node.farmer.id,
    node: whose,
    serial,
    do: what,
    nonce: 'cd'.repeat(16),
    notAfterMs: 10_000,
  };
  const { keys, document } = node.farmer;
  return [{ consent: signConsent(consent, keys.signing), farmer: document }];
}

/** For another node, to take what is not blank, and then to wipe it, twice. */
async function tryConsents(disk: OwnDisks, id: string): Promise<unknown> {
  let takenCount = 0;
  const said: string[] = [];
  const take = openConsents({
    home: { current: () => ({ farmer: verifyIdentity(node.farmer.document), farm: FARM }) },
    grid: GRID,
    node: id,
    folder: nodeFolder(disk),
    nowMs: () => 5000,
    say: (text) => void said.push(text),
    onTaken: () => void (takenCount += 1),
  });
  const carry = async (diskConsents: Wants['diskConsents']): Promise<void> =>
    take({ diskConsents } as unknown as Wants);
  await carry(consentTo('FOREIGN', 'wipe', '99'.repeat(32)));
  await carry(consentTo('FOREIGN', 'take', id));
  const before = await kindOf('FOREIGN');
  const wipe = consentTo('FOREIGN', 'wipe', id);
  await carry(wipe);
  await carry(wipe);
  const disks = (await node.open()).disks.map(({ serial }) => serial);
  return { said, before, after: await kindOf('FOREIGN'), takenCount, disks };
}

async function kindOf(name: string): Promise<string> {
  const seen = (await observeDisks()).find(({ serial }) => serial === name);
  return seen === undefined ? 'gone' : (await readContent(seen.path)).kind;
}

const found: Record<string, unknown> = {};
await tell(found, async () => {
  await prepareMachine();
  await loadDisks();
  const disk = await node.open();
  const { id } = (await openSelf(nodeFolder(disk))).identity;
  found['start'] = {
    id,
    boots: disk.boots,
    disks: disk.disks.map(({ serial }) => serial),
    refused: disk.refused.map((each) => `${each.disk.serial}: ${each.because}`),
    wrong: node.wrong(),
  };
  found['lost'] = await tryLost(disk);
  found['consent'] = await tryConsents(disk, id);
});
