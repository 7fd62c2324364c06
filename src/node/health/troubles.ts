import { TROUBLE_SENTENCE_MAX, type Trouble, TROUBLES_MAX } from '../../contract/health/trouble.ts';

/** What can be wrong with a node, one code for each state that a fault causes. */
export const TROUBLE_CODES = [
  'AGENT_GROWS',
  'AGENT_SLOW',
  'CLOCK_UNSURE',
  'COURIER_GONE',
  'DIRECTORY_SILENT',
  'DISK_CORRUPT',
  'DISK_FAILING',
  'DISK_FULL',
  'DISK_GONE',
  'DISK_OF_ANOTHER',
  'DISK_READ_ONLY',
  'DISK_SLOW',
  'DISK_TWIN',
  'DNS_DEAD',
  'FIREWALL_BROKEN',
  'KERNEL_SOFT',
  'LOOP_STUCK',
  'NODE_CLONED',
  'NO_ADDRESS',
  'RESERVE_SHORT',
] as const;
export type TroubleCode = (typeof TROUBLE_CODES)[number];

/** What is wrong with this node now: one sentence a code, from when it began until it is over. */
export type Troubles = {
  /** Says that it is so, with what to do about it, or with `null` that it is over. */
  readonly set: (code: TroubleCode, sentence: string | null) => void;
  /** All that last, the oldest first, dated by a clock that may have been set meanwhile. */
  readonly list: (nowMs: number) => readonly Trouble[];
  /** Called whenever something began, ended, or has other words. */
  readonly follow: (onChange: () => void) => void;
};

type Lasting = { readonly sentence: string; readonly since: number };

/** Opens it with nothing wrong. `steady` is time that setting the clock does not move. */
export function openTroubles(parts: {
  readonly steady: () => number;
  /** Tells people on the machine's console. */
  readonly say: (text: string) => void;
}): Troubles {
  const lasting = new Map<TroubleCode, Lasting>();
  const followers: (() => void)[] = [];
  return {
    set: (code, told) => {
      const before = lasting.get(code);
      const sentence = told === null ? undefined : shown(told);
      if (before?.sentence === sentence) return;
      if (sentence === undefined) lasting.delete(code);
      else lasting.set(code, { sentence, since: before?.since ?? parts.steady() });
      parts.say(sentence === undefined ? `trouble over ${code}` : `trouble ${code} ${sentence}`);
      for (const follow of followers) follow();
    },
    list: (nowMs) => {
      const now = parts.steady();
      const all = [...lasting].map(([code, { sentence, since }]) => ({
        code,
        sentence,
        sinceMs: Math.max(0, Math.round(nowMs - (now - since))),
      }));
      return all.toSorted((a, b) => a.sinceMs - b.sinceMs).slice(0, TROUBLES_MAX);
    },
    follow: (onChange) => void followers.push(onChange),
  };
}

/** Whatever a name server or a disk put into it: one line that moves no cursor. */
function shown(sentence: string): string {
  const plain = sentence.replaceAll(/[^\P{Cc}]+/gu, ' ').trim();
  return (plain === '' ? 'something is wrong' : plain).slice(0, TROUBLE_SENTENCE_MAX);
}
