import { networkInterfaces } from 'node:os';
import { CARDS_MAX, type PowerAnswer, type PowerOrder } from '../../contract/health/power.ts';
import { utf8 } from '../../lib/bytes.ts';
import { SECOND_MS } from '../../lib/units.ts';
import type { AgentParts } from '../agent.ts';
import { AskError, type Asked } from '../questions.ts';

/** What is done to the machine and its wires. */
export type PowerDoors = {
  /** Has at least one card wake the machine when it is called. */
  readonly armCards: () => Promise<boolean>;
  /** Calls sleeping cards; answers on how many wires. */
  readonly callCards: (macs: readonly string[]) => Promise<number>;
  readonly switchOff: () => Promise<void>;
  readonly isOnTrial: () => Promise<boolean>;
  readonly sinceKernelStartMs: () => number;
};

export type PowerParts = PowerDoors & {
  /** Whose farm the node is in; nobody else may ask. */
  readonly farmer: () => string | undefined;
  /** Contracts that the node holds. */
  readonly countHeld: () => number;
  readonly clock: () => number;
  readonly say: (text: string) => void;
};

/** The node's sleep: by its farmer's word, told with a last sign of life, ended by a neighbour. */
export type Power = {
  readonly answer: (question: Asked<'power'>) => Promise<Uint8Array>;
  /** Whether the next sign of life is the last one before sleep. */
  readonly isGoing: () => boolean;
  /** Is given what to call when that word should go out at once. */
  readonly follow: (hurry: () => void) => void;
  /** The directory has the word that said so: now the machine goes down. */
  readonly onTold: () => Promise<void>;
};

/** The power of this agent's node, which its farmer asks for and no contract may need. */
export function powerOf(parts: AgentParts, held: ReadonlyMap<string, unknown>): Power {
  const { home, clock, console } = parts;
  return openPower({
    ...parts.power,
    farmer: () => home.current()?.farmer.id,
    countHeld: () => held.size,
    clock: clock.clock,
    say: console.say,
  });
}

/** Opens it awake. */
export function openPower(parts: PowerParts): Power {
  const hurries: (() => void)[] = [];
  let isGoing = false;
  const obey = async (order: PowerOrder, atMs: number): Promise<PowerAnswer> => {
    if (order.do === 'wake') return wake(parts, order.cards);
    const refusal = await whyAwake(parts, atMs);
    if (refusal !== undefined) return { isDone: false, sentence: refusal };
    isGoing = true;
    parts.say('goes to sleep, as its farmer asked');
    for (const hurry of hurries) hurry();
    return { isDone: true, sentence: 'It goes to sleep when the directory has its last word.' };
  };
  return {
    answer: async ({ tenant, order, atMs }) => {
      if (tenant !== parts.farmer()) {
        throw new AskError('ASKER_FOREIGN', 'Only the farmer of this node may ask that of it.');
      }
      return utf8(JSON.stringify(await obey(order, atMs)));
    },
    isGoing: () => isGoing,
    follow: (hurry) => void hurries.push(hurry),
    onTold: parts.switchOff,
  };
}

async function wake({ callCards, say }: PowerParts, macs: readonly string[]): Promise<PowerAnswer> {
  const wires = await callCards(macs);
  say(`called ${macs.join(' ')} on ${wires} wires, as its farmer asked`);
  const sentence = `It called ${macs.join(', ')} on ${wires} of its wires.`;
  return { isDone: wires > 0, sentence };
}

/** Why the node stays up, if it does. */
async function whyAwake(parts: PowerParts, askedMs: number): Promise<string | undefined> {
  const startedMs = parts.clock() - parts.sinceKernelStartMs();
  // Whoever carries questions could send an old one again to a node that was just woken.
  if (askedMs < startedMs + SECOND_MS) return 'That was asked before this start; ask again.';
  const held = parts.countHeld();
  if (held > 0) return `It holds ${held} contracts, and sleeps only without any.`;
  if (await parts.isOnTrial()) return 'It tries a new system; ask again when that has settled.';
  if (await parts.armCards()) return undefined;
  return 'None of its network cards can wake it, so it would not come back.';
}

/** The addresses of the machine's cards, by which a neighbour can wake it. */
export function ownCards(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const macs = all.filter(({ internal }) => !internal).map(({ mac }) => mac);
  return [...new Set(macs)].filter((mac) => mac !== '00:00:00:00:00:00').slice(0, CARDS_MAX);
}
