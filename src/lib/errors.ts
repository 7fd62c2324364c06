/** The base of every error the project throws on purpose: a code, a sentence, facts and a cause. */
export class ZosError<Code extends string = string> extends Error {
  /** For programs: stable, upper case, one per reason. */
  readonly code: Code;
  /** For logs: plain values, never a secret. */
  readonly facts: Readonly<Record<string, unknown>>;

  /** `sentence` is for people and says what to do next; no secret ever enters it. */
  constructor(code: Code, sentence: string, options: ZosErrorOptions = {}) {
    super(sentence, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.facts = options.facts ?? {};
  }
}

export type ZosErrorOptions = {
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
};

/** The code of an error of ours, or `UNEXPECTED` for anything else. */
export function codeOf(error: unknown): string {
  return error instanceof ZosError ? error.code : 'UNEXPECTED';
}

/** The sentence of an error, whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
