import type { Wait } from './waits.ts';

export const COLUMNS = 80;
export const ROWS = 25;

/** A resource that is offered, and how much of it contracts have. */
export type Use = { readonly used: number; readonly total: number };

/** What a program tells its screen beside what it waits for; each as soon as it is known. */
export type ScreenFacts = {
  /** Name and version of the release. */
  readonly release?: string;
  readonly node?: string;
  /** Where the directory shows this node, for a phone: the QR code. */
  readonly approvalUrl?: string;
  readonly farm?: string;
  readonly class?: { readonly name: string; readonly because: string };
  readonly directoryUrl?: string;
  readonly isClockSynced?: boolean;
  readonly cores?: Use;
  readonly memoryBytes?: Use;
  readonly ssdBytes?: Use;
  readonly hddBytes?: Use;
  readonly workloads?: { readonly running: number; readonly waiting: number; failed: number };
  /** States that a fault causes, each in a sentence. */
  readonly troubles?: readonly string[];
};

export type ScreenLine = { readonly text: string; readonly atMs: number };

/** Everything that is on the screen; times count from the start of the kernel. */
export type ScreenState = ScreenFacts & {
  readonly uptimeMs: number;
  readonly nowMs: number;
  readonly addresses: readonly string[];
  readonly waiting: readonly Wait[];
  readonly failure: { readonly sentence: string; readonly atMs: number } | null;
  /** What was said last, the newest at the end. */
  readonly lines: readonly ScreenLine[];
};

/** How a piece of text stands out; without one it is plain. */
export type Tone = 'title' | 'label' | 'strong' | 'good' | 'wait' | 'bad' | 'code';

export type Span = { readonly text: string; readonly tone?: Tone };

/** 25 rows of 80 columns. */
export type Frame = readonly (readonly Span[])[];
