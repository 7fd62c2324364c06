import { codeOf, sentenceOf } from '../../src/lib/errors.ts';
import { type Board, openBoard } from '../../src/screen/board.ts';
import { plainLine } from '../../src/screen/waits.ts';
import { type BootRefusal, REFUSALS_MAX } from '../../src/artifact/spec.ts';

export type Stage = { readonly stage: string; readonly sinceKernelStartMs: number };

/** What this boot does, told as it happens and kept for the agent's report. */
export type BootConsole = Board & {
  /** A stage that was reached: `zos: boot STAGE DETAIL`. */
  readonly reached: (stage: string, detail?: string) => void;
  /** Something that was not taken: `zos: boot refused ARTIFACT: CODE sentence`. */
  readonly refused: (refused: Refused) => void;
  readonly stages: readonly Stage[];
  /** The first of them, and the last one. */
  readonly refusals: readonly BootRefusal[];
};

const LINE_MAX = 500;

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
  const board = openBoard({ print: (text) => print(`zos: boot ${text}`), clockMs });
  const say = (text: string): void => board.say(oneLine(text));
  return {
    ...board,
    stages,
    refusals,
    say,
    refused: ({ artifact, error, mirror }) => {
      board.failed(`${artifact}: ${codeOf(error)} ${sentenceOf(error)}`, 'refused');
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

function oneLine(text: string): string {
  return plainLine(text, LINE_MAX);
}
