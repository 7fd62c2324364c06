import { type Board, openBoard } from '../../screen/board.ts';
import { plainLine } from '../../screen/waits.ts';

/** What this start of the agent does, told as it happens and kept for its heartbeats. */
export type AgentConsole = Board & {
  /** A stage that was reached: `zos: agent STAGE DETAIL`. */
  readonly reached: (stage: string, detail?: string) => void;
  readonly stages: readonly { readonly name: string; readonly atMs: number }[];
};

const STAGES_MAX = 32;
const LINE_MAX = 400;

/**
 * The one writer of the machine's console. `sinceKernelStartMs` dates stages; the stages of the
 * boot program come first.
 */
export function openConsole(parts: {
  readonly print: (line: string) => void;
  readonly sinceKernelStartMs: () => number;
  readonly before: readonly { readonly name: string; readonly atMs: number }[];
}): AgentConsole {
  const stages = parts.before.slice(-STAGES_MAX / 2);
  const board = openBoard({
    print: (text) => parts.print(`zos: agent ${text}`),
    clockMs: parts.sinceKernelStartMs,
    before: parts.before.map(({ name, atMs }) => ({ text: name, atMs })),
  });
  const say = (text: string): void => board.say(plainLine(text, LINE_MAX));
  return {
    ...board,
    stages,
    say,
    reached: (stage, detail = '') => {
      if (stages.length < STAGES_MAX) {
        stages.push({ name: stage, atMs: parts.sinceKernelStartMs() });
      }
      say(detail === '' ? stage : `${stage} ${detail}`);
    },
  };
}
