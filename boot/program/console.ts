import { writeFileSync } from 'node:fs';
import { codeOf, sentenceOf } from '../../src/lib/errors.ts';

export type Stage = { readonly stage: string; readonly sinceKernelStartMs: number };

/** What this boot does, told as it happens and kept for the agent's report. */
export type BootConsole = {
  /** A stage that was reached: `zos: boot STAGE DETAIL`. */
  readonly reached: (stage: string, detail?: string) => void;
  /** A line for people that is no stage. */
  readonly say: (text: string) => void;
  readonly stages: readonly Stage[];
};

/** `clockMs` tells milliseconds since the kernel started. */
export function openConsole(print: (line: string) => void, clockMs: () => number): BootConsole {
  const stages: Stage[] = [];
  const say = (text: string): void => print(`zos: boot ${oneLine(text)}`);
  return {
    stages,
    say,
    reached: (stage, detail = '') => {
      stages.push({ stage, sinceKernelStartMs: clockMs() });
      say(detail === '' ? stage : `${stage} ${detail}`);
    },
  };
}

/** Prints on the standard output, at once and whole: it is the machine's console. */
export function printLine(line: string): void {
  writeFileSync(1, `${line}\n`);
}

/** `refused ARTIFACT: CODE sentence`, the line by which a failed check can be found. */
export function refusalText(artifact: string, error: unknown): string {
  return `refused ${artifact}: ${codeOf(error)} ${sentenceOf(error)}`;
}

/** Texts from a network must not move the cursor, or look like two lines. */
function oneLine(text: string): string {
  return text.replaceAll(/[^\P{Cc}]+/gu, ' ').slice(0, 500);
}
