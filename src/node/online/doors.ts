import type { Identity } from '../../identity/document.ts';
import type { AgentParts } from '../agent.ts';
import { type Meters, openMeters } from '../meter/meters.ts';
import type { Feed } from '../pickup.ts';
import { openWatch, type RecordWatch } from '../record/watch.ts';
import { openTurns, type Turns } from '../turns/turns.ts';
import { tellers } from './telling.ts';

/** Whose turn it is to update; `identity` is the directory's, which gives them. */
export function turnsOf(
  parts: AgentParts,
  {
    isClockSynced,
    identity,
  }: { readonly isClockSynced: () => boolean; readonly identity: Identity },
): Turns {
  const { grid, self, directory, policy, nextSeq } = parts;
  const node = self.identity.id;
  return openTurns({
    grid,
    node,
    policy,
    nextSeq,
    signer: self.keys.signing,
    directory: identity,
    clock: parts.clock.clock,
    isClockSynced,
    send: async (wish) => directory.call(async (client) => client.takeTurn(node, wish)),
    onBad: tellers(parts).onBad,
  });
}

/** What the directory has for this node, pushed or asked for. */
export function feedOf({ grid, self, directory, clock }: AgentParts): Feed {
  const signing = {
    grid,
    node: self.identity.id,
    signer: self.keys.signing,
    nowMs: clock.clock,
  };
  return {
    open: (signal) => directory.client().feed(signing, { signal }),
    poll: async ({ after, waitMs }) => directory.client().wants(signing, { after, waitMs }),
    skip: directory.skip,
  };
}

/** What contracts used so far, kept on the disk. */
export async function openMetersOf(parts: AgentParts, onChange: () => void): Promise<Meters> {
  const { metersPath: path, clock } = parts;
  const { onTrouble } = tellers(parts);
  return openMeters({ path, clock: clock.clock, steady: clock.steady, onChange, onTrouble });
}

/** What this node holds of the record, and what makes it trust that no further. */
export async function openWatchOf(parts: AgentParts, onCalm: () => void): Promise<RecordWatch> {
  const { record, console, clock } = parts;
  return openWatch({ ...record, nowMs: clock.clock, say: console.say, onCalm });
}
