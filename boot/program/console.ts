import { codeOf, sentenceOf } from '../../src/lib/errors.ts';
import { type BootRefusal, REFUSALS_MAX } from '../../src/artifact/spec.ts';

export type Stage = { readonly stage: string; readonly sinceKernelStartMs: number };

/** What this boot does, told as it happens and kept for the agent's report. */
export type BootConsole = {
  /** A stage that was reached: `zos: boot STAGE DETAIL`. */
  readonly reached: (stage: string, detail?: string) => void;
  /** A line for people that is no stage. */
  readonly say: (text: string) => void;
  /** Something that was not taken: `zos: boot refused ARTIFACT: CODE sentence`. */
  readonly refused: (refused: Refused) => void;
  readonly stages: readonly Stage[];
  /** The first of them, and the last one. */
  readonly refusals: readonly BootRefusal[];
};

export type Refused = {
  readonly artifact: string;
  readonly error: unknown;
  /** Whose it was, if it came from a mirror. */
  readonly mirror?: string;
};

/** `clockMs` tells milliseconds since the kernel started. */
export function openConsole(print: (line: string) => void, clockMs: () => number): BootConsole {
  const stages: Stage[] = [];
  const refusals: BootRefusal[] = [];
  const say = (text: string): void => print(`zos: boot ${oneLine(text)}`);
  return {
    stages,
    refusals,
    say,
    refused: ({ artifact, error, mirror }) => {
      say(refusalText(artifact, error));
      const [code, sentence] = [codeOf(error).slice(0, 60), oneLine(sentenceOf(error))];
      if (refusals.length === REFUSALS_MAX) refusals.pop();
      refusals.push({
        artifact: oneLine(artifact).slice(0, 200),
        code,
        sentence,
        mirror: mirror ?? null,
      });
    },
    reached: (stage, detail = '') => {
      stages.push({ stage, sinceKernelStartMs: clockMs() });
      say(detail === '' ? stage : `${stage} ${detail}`);
    },
  };
}

/** The line by which a failed check can be found. */
function refusalText(artifact: string, error: unknown): string {
  return `refused ${artifact}: ${codeOf(error)} ${sentenceOf(error)}`;
}

/** Texts from a network must not move the cursor, or look like two lines. */
function oneLine(text: string): string {
  return text.replaceAll(/[^\P{Cc}]+/gu, ' ').slice(0, 500);
}
