/** What this start of the agent does, told as it happens and kept for its heartbeats. */
export type AgentConsole = {
  /** A stage that was reached: `zos: agent STAGE DETAIL`. */
  readonly reached: (stage: string, detail?: string) => void;
  /** A line for people that is no stage. */
  readonly say: (text: string) => void;
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
  // Texts that come from a network must not move the cursor, or look like two lines.
  const say = (text: string): void => {
    parts.print(`zos: agent ${text.replaceAll(/[^\P{Cc}]+/gu, ' ').slice(0, LINE_MAX)}`);
  };
  return {
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
