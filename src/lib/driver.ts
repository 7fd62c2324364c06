/** What has to happen to a thing that is there so that it becomes what is wanted. */
export type Difference = {
  readonly change: 'none' | 'update' | 'replace';
  readonly because: string;
};

export const NO_DIFFERENCE: Difference = { change: 'none', because: '' };

/**
 * The one door from the agent's loop to a kind of thing on the machine. Every call is idempotent,
 * ends early when `signal` fires, and finds what is there by label: nothing is remembered.
 */
export type Driver<Spec, Have> = {
  readonly kind: string;
  /** Everything of this kind that carries our label, by item id. */
  readonly observe: (signal: AbortSignal) => Promise<ReadonlyMap<string, Have>>;
  /** Takes whom to tell that a thing of this kind changed by itself: it is looked at then. */
  readonly listen?: (onChange: () => void) => void;
  /** Pure: no I/O, no clock, no chance. */
  readonly compare: (spec: Spec, have: Have) => Difference;
  readonly create: (spec: Spec, signal: AbortSignal) => Promise<void>;
  readonly update: (spec: Spec, have: Have, signal: AbortSignal) => Promise<void>;
  readonly remove: (id: string, have: Have, signal: AbortSignal) => Promise<void>;
};
