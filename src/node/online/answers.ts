import type { Wants } from '../../contract/wants.ts';
import type { AgentParts, Core } from '../agent.ts';
import { openLook } from '../diagnosis/look.ts';
import { explain } from '../explain/answer.ts';
import { openQuestions } from '../questions.ts';
import { tellers } from './telling.ts';

/** What answers the questions that come with the wants. */
export function openAnswers(parts: AgentParts, core: Core): (wants: Wants) => Promise<void> {
  const { grid, self, directory, readLogTail, attest } = parts;
  const { waits, trust, power } = core;
  const { held } = core.holdings;
  const farmer = (): string | undefined => parts.home.current()?.farmer.id;
  const node = self.identity.id;
  const ground = { ...parts.clock, grid, node, held, waits };
  const { steady } = parts.clock;
  return openQuestions({
    grid,
    held,
    readLogTail,
    attest,
    measure: parts.openMeasure(held),
    explain: (question) => explain({ ...ground, farmer: farmer() }, question),
    power: power.answer,
    look: openLook({ farmer, isClockSynced: () => trust.now().isClockSynced, steady }),
    onBad: tellers(parts).onBad,
    node,
    signer: self.keys.signing,
    clock: parts.clock.clock,
    send: async (envelope) => {
      await directory.call(async (client) => client.putAnswer(envelope));
    },
  });
}
