import type { ContainerHave } from '../../container/plan.ts';
import { heartbeatSchema } from '../../contract/receipt.ts';
import { type Envelope, parsePayload, untrustedPayload } from '../../identity/envelope.ts';
import { codeOf, sentenceOf } from '../../lib/errors.ts';
import type { ZnetHave } from '../../znet/plan.ts';
import { znetEndOf } from '../../znet/status.ts';
import type { AgentParts } from '../agent.ts';
import { isFinal } from '../bringup/directory.ts';
import type { FenceHolder } from '../disks/fence.ts';
import type { Holdings } from '../holdings.ts';
import type { Power } from '../health/power.ts';
import type { Key } from '../loop/graph.ts';
import type { View } from '../loop/reconcile.ts';
import type { Follower } from '../record/follower.ts';
import { workOf } from '../screen/facts.ts';
import type { ReportParts } from '../report.ts';
import type { Meters } from '../meter/meters.ts';
import { usesOf } from '../meter/uses.ts';
import { type Statement, statementsOf } from '../status.ts';

/** What the node says, and hears in answer, beside what it holds. */
export type Voice = {
  readonly follower: Follower;
  readonly fence: FenceHolder;
  readonly power: Power;
};

/** How the node says what it says: to the directory, and on its screen. */
export function reportParts(
  parts: AgentParts,
  holdings: Holdings,
  { follower, fence, power }: Voice,
): ReportParts {
  const { grid, self, directory, nextSeq, chance, sleep } = parts;
  const { onTrouble } = tellers(parts);
  const states = new Map<string, string>();
  const sayState = ({ contract, version, state }: Statement): void => {
    const text = `contract ${contract} version ${version} ${state}`;
    if (states.get(contract) !== text) parts.console.say(text);
    if (state === 'ended') states.delete(contract);
    else states.set(contract, text);
  };
  return {
    grid,
    nextSeq,
    life: async () => ({
      ...(await parts.life()),
      ...follower.name(),
      troubles: [...parts.troubles.list(parts.clock.clock())],
      ...(power.isGoing() ? { isAsleep: true as const } : {}),
    }),
    onUrgent: (hurry) => {
      parts.troubles.follow(hurry);
      power.follow(hurry);
    },
    chance,
    sleep,
    onTrouble,
    node: self.identity.id,
    signer: self.keys.signing,
    clock: parts.clock.clock,
    sending: {
      receipt: async (envelope) => {
        await directory.call(async (client) => client.putReceipt(envelope));
      },
      heartbeat: async (envelope) => {
        const seen = await directory.call(async (client) => client.putHeartbeat(envelope));
        await parts.onAcknowledged();
        if (saidSleep(envelope)) await power.onTold();
        fence.hear(seen);
        await follower.hear(seen.record ?? null);
      },
      isFinal,
    },
    onTold: async (statement) => {
      sayState(statement);
      if (statement.state === 'ended') await holdings.forget(statement.contract);
    },
  };
}

function saidSleep(envelope: Envelope): boolean {
  return parsePayload(untrustedPayload(envelope, 'heartbeat'), heartbeatSchema).isAsleep === true;
}

/** What there is to say now. */
export function statements(
  parts: AgentParts,
  { holdings, meters }: { readonly holdings: Holdings; readonly meters: Meters },
  view: View,
): readonly Statement[] {
  const haveOf = (key: Key): unknown => view.sight.things.get(key)?.have;
  meters.take(usesOf(holdings, view), { ending: new Set(holdings.ended.keys()) });
  const told = statementsOf({
    view,
    meters,
    held: holdings.held.values(),
    refused: holdings.refused.values(),
    ended: holdings.ended.values(),
    processOf: (id) => {
      const have = haveOf(`container ${id}`) as ContainerHave | undefined;
      if (have?.state !== 'running') return undefined;
      return { pid: have.pid, startedAtMs: have.startedAtMs };
    },
    endOf: (znet) => {
      const have = haveOf(`znet ${znet}`) as ZnetHave | undefined;
      return have === undefined ? undefined : znetEndOf(have, parts.addresses());
    },
  });
  parts.console.shows(workOf(parts.offer, [...holdings.held.values()], told));
  return told;
}

export type Tellers = Record<'onBad' | 'onTrouble', (what: string, error: unknown) => void>;

/** What people should know goes to the console, what happens all the time to the log. */
export function tellers({ log, console }: AgentParts): Tellers {
  return {
    onBad: (what, error) => {
      console.say(`refused ${what}: ${codeOf(error)} ${sentenceOf(error)}`);
    },
    onTrouble: (what, error) => {
      log.warn({ what, code: codeOf(error), sentence: sentenceOf(error) }, 'trouble');
    },
  };
}
