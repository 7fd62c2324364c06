/** Something that happened to one part of a grid on its way up or down, in words for a person. */
export type GridEvent = {
  /** The part: `image`, `directory`, `node 1`, ... */
  readonly subject: string;
  readonly state: 'running' | 'done' | 'failed';
  /** What it does, what came of it, or why it failed; the facts only. */
  readonly text: string;
};

export type OnEvent = (event: GridEvent) => void;
